import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { ERROR_CODES } from '../src/domain/errors.js';
import { createMetrics } from '../src/metrics.js';
import { ROOT } from './support/markdown.js';
import { testApp } from './support/app.js';

interface Dashboard {
  readonly templating: { readonly list: readonly { readonly name: string; readonly allValue?: string }[] };
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string; readonly annotations: object }[];
  }[];
}

const dashboard = JSON.parse(readFileSync(join(ROOT, 'docs/grafana.json'), 'utf8')) as Dashboard;
const alerts = parse(readFileSync(join(ROOT, 'docs/alerts.yaml'), 'utf8')) as Rules;
const rules = alerts.groups.flatMap(({ rules }) => rules);

const expressions: [string, string][] = [
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
  ...rules.map(({ alert, expr }): [string, string] => [alert, expr]),
];

/** Labels that Prometheus adds, and the one that docs/tools.md puts in where a machine has several roles. */
const FROM_OUTSIDE = ['job', 'instance', 'role'];

/** The series that a daemon shows, with their labels. */
async function series(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { app } = testApp(t);
  await app.inject('/secrets/api_key');
  const metrics = createMetrics({
    gate: { running: 0, waiting: 0 },
    config: () => ({ digest: 'd', loadedAt: new Date() }),
  });
  metrics.observeBackend('red', 'env', 1);
  const lines = [...(await app.inject('/metrics')).payload.split('\n'), ...(await metrics.text()).split('\n')];
  const found = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of lines.map((line) => /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [])) {
    const known = found.get(name) ?? new Set<string>();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}

t.test('every metric and label of the dashboard and of the alerts is one that the daemon shows', async (t) => {
  const shown = await series();
  t.ok(expressions.length > 10);
  for (const [what, expression] of expressions) {
    const names = [...expression.matchAll(/mxm_secretsd_\w+/g)].map(([name]) => name);
    t.ok(names.length > 0, what);
    for (const name of names) t.ok(shown.has(name), `${what}: ${name}`);
    const known = new Set([...FROM_OUTSIDE, ...names.flatMap((name) => [...(shown.get(name) ?? [])])]);
    const labels = [...expression.matchAll(/(\w+)=~?"/g), ...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(
      ([, list = '']) => list.split(', '),
    );
    for (const label of labels) t.ok(known.has(label), `${what}: ${label}`);
  }
});

t.test('an alert tells the roles of a machine apart, and a panel shows those that are chosen, by default all', (t) => {
  for (const { alert, expr, annotations } of rules) {
    t.match(expr, /by \((?:le, )?instance, role[,)]/, alert);
    t.match(annotations, { summary: '{{ with $labels.role }} {{ . }}{{ end }}:' }, alert);
  }
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const selectors = [...expr.matchAll(/mxm_secretsd_\w+(\{[^}]*\})?/g)].map(([, selector]) => selector);
      for (const selector of selectors) t.match(selector, 'role=~"$role"', title);
    }
  }
  t.match(dashboard.templating.list.find(({ name }) => name === 'role')?.allValue, '.*', 'or none');
  t.end();
});

t.test('every code that an alert or a panel looks for exists', (t) => {
  const codes = new Set<string>([...ERROR_CODES, 'ok', 'unready', 'cancelled']);
  for (const [what, expression] of expressions) {
    for (const [, list = ''] of expression.matchAll(/code=~?"([^"]*)"/g)) {
      for (const code of list.split('|')) t.ok(codes.has(code), `${what}: ${code}`);
    }
  }
  t.end();
});

t.test('what an alert wants to see the first time is there from the start, as 0', async (t) => {
  const fresh = await createMetrics({
    gate: { running: 0, waiting: 0 },
    config: () => ({ digest: 'd', loadedAt: new Date() }),
  }).text();
  let looked = 0;
  for (const { alert, expr } of rules) {
    for (const [, name, label, value] of expr.matchAll(/increase\((\w+)\{(\w+)="(\w+)"\}/g)) {
      t.match(fresh, new RegExp(`^${name}\\{.*\\b${label}="${value}"\\} 0$`, 'm'), alert);
      looked += 1;
    }
  }
  t.equal(looked, rules.filter(({ expr }) => expr.includes('increase(')).length);
});

t.test('every alert says what is the matter and what to do', (t) => {
  for (const { alert, annotations } of rules) t.hasProps(annotations, ['summary', 'action'], alert);
  t.end();
});
