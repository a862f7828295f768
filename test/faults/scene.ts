import assert from 'node:assert/strict';
import { chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FakeProgram, fakeGopass } from '../support/fake_gopass.js';
import type { GopassStore } from '../support/gopass_store.js';
import { type Answer, ask, type Question } from '../support/http_client.js';
import {
  type Configured,
  type DaemonOptions,
  type RunningDaemon,
  type RunOptions,
  serveProcess,
  writeConfiguration,
} from '../support/process.js';
import { childrenOf, descriptorsOf, processesWith } from '../support/process_table.js';
import { type Ending, temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

export const GOOD_VALUE = 'what the good store holds';
export const LOCAL_VALUE = 'what the environment holds';

/** Sections of the launch file: for a backend that is to come to its bound, and for one that is not. */
export const SHORT_TIMEOUT = 'limits: { backend_concurrency: 4, backend_timeout_ms: 1000 }\n';
export const LONG_TIMEOUT = 'limits: { backend_concurrency: 4, backend_timeout_ms: 20000 }\n';

const READINGS = 15;

/** gpg starts them for its user, and they stay. */
const SERVICES_OF_GPG = ['gpg-agent', 'keyboxd', 'scdaemon', 'dirmngr'];

export interface Stage extends Pick<DaemonOptions, 'launch'>, RunOptions {
  /** What a gopass of its own does when it is asked for the secret `faulty`. */
  readonly faulty?: string;
  /** The user whose real gopass holds `good`, and `faulty` unless a script does; without it both are scripts. */
  readonly user?: GopassStore;
  /** The user that the daemon runs as where it is not ours: gets the folders and programs. */
  readonly owner?: number;
  /** Further stores, `NAME: {…}`. */
  readonly stores?: readonly string[];
  /** Further refs, `NAME: {…}`, of these and the stores `good`, `faulty` and `local`, and the policies `open` and `closed`. */
  readonly refs?: readonly string[];
}

/** A daemon, its backends and its callers, and what came back. */
export class Scene {
  readonly t: Ending;
  readonly #answers = new Map<string, number>();
  readonly #descriptors = new Map<number, number>();
  #daemon: RunningDaemon | undefined;
  #faulty: FakeProgram | undefined;
  #home = '';
  #options: RunOptions = {};

  constructor(t: Ending) {
    this.t = t;
  }

  get daemon(): RunningDaemon {
    assert(this.#daemon);
    return this.#daemon;
  }

  get pid(): number {
    return this.daemon.child.pid!;
  }

  /** The script that stands for gopass in the store `faulty`. */
  get faulty(): FakeProgram {
    assert(this.#faulty);
    return this.#faulty;
  }

  /** Starts the daemon as it is installed, and asks it once for a good secret. */
  async start({
    faulty,
    user,
    stores = [],
    refs = [],
    launch = LONG_TIMEOUT,
    owner,
    ...options
  }: Stage = {}): Promise<RunningDaemon> {
    const root = temporaryFolder(this.t);
    this.#home = user?.environment.HOME ?? join(root, 'home');
    mkdirSync(this.#home, { recursive: true });
    const good = user?.gopass ?? fakeGopass(this.t, `echo '${GOOD_VALUE}'`).file;
    this.#faulty = fakeGopass(this.t, faulty ?? 'exit 1');
    const configured = writeConfiguration(this.t, {
      secrets: `
stores:
  good: { backend: gopass, root: mxm, binary: ${good} }
  faulty: { backend: gopass, root: mxm, binary: ${faulty === undefined && user !== undefined ? user.gopass : this.#faulty.file} }
  local: { backend: env, root: mxm/fault }
${stores.map((store) => `  ${store}\n`).join('')}refs:
  good: { store: good, path: good, policy: open }
  faulty: { store: faulty, path: faulty, policy: open }
  local: { store: local, path: local, policy: open }
${refs.map((ref) => `  ${ref}\n`).join('')}
policies:
  open: { allowed_principals: [marketdata] }
  closed: { allowed_principals: [] }
`,
      launch,
    });
    if (owner !== undefined) {
      const programs = [good, this.#faulty.file];
      const folders = [root, this.#home, configured.folder, ...programs.map((file) => dirname(file))];
      for (const path of [...folders, ...programs]) chownSync(path, owner, owner);
    }
    const environment = user?.environment ?? { HOME: this.#home, PATH: process.env['PATH'] ?? '' };
    this.#options = {
      ...options,
      env: { ...environment, MXM_FAULT_LOCAL: LOCAL_VALUE, ...options.env },
    };
    return this.startAgain(configured);
  }

  /** With the same files, after it has ended. */
  async startAgain({ folder, launchFile, socket }: Configured = this.daemon): Promise<RunningDaemon> {
    this.#daemon = await serveProcess(this.t, { folder, launchFile, socket }, this.#options);
    await this.goodRequest();
    await this.watch(this.pid);
    return this.#daemon;
  }

  /** From now on this process may not have more descriptors in the end than now that it is at rest. */
  async watch(pid: number): Promise<void> {
    let fewest = Infinity;
    // A connection or a child that has just ended may still count: so many readings see none of them.
    for (let reading = 0; reading < READINGS; reading += 1) {
      fewest = Math.min(fewest, descriptorsOf(pid));
      await sleep(20);
    }
    this.#descriptors.set(pid, fewest);
  }

  /** Asks, and counts what comes back; what cannot be asked counts as refused. */
  async ask(path: string, question?: Question): Promise<Answer | undefined> {
    try {
      const answer = await ask(this.daemon.socket, path, question);
      this.came(`${answer.status} ${codeOf(answer)}`);
      return answer;
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      this.came(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'refused' : 'closed');
      return undefined;
    }
  }

  /** Asks for a secret, which has to end so. */
  async expect(name: string, ...codes: readonly string[]): Promise<void> {
    const answer = await this.ask(`/secrets/${name}`);
    const code = answer === undefined ? 'no answer' : codeOf(answer);
    assert(codes.includes(code), `${name} ended ${code} and not ${codes.join(' or ')}`);
  }

  came(what: string, count = 1): void {
    this.#answers.set(what, (this.#answers.get(what) ?? 0) + count);
  }

  /** How often each thing came back. */
  get answers(): Record<string, number> {
    return Object.fromEntries([...this.#answers].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Not counted. */
  async goodRequest(): Promise<void> {
    const { status, json, text } = await ask(this.daemon.socket, '/secrets/good');
    assert.deepEqual([status, json['value']], [200, GOOD_VALUE], text);
  }

  /** What was started for this daemon and is there still, but for the services of gpg. */
  left(): string[] {
    const started = [...processesWith('HOME', this.#home), ...childrenOf(this.pid)];
    return started
      .filter(({ pid, name }) => pid !== this.pid && !SERVICES_OF_GPG.includes(name))
      .map(({ name }) => name);
  }

  /** How many descriptors there are more than in the beginning. */
  surplus(): number {
    return [...this.#descriptors].reduce((sum, [pid, before]) => sum + Math.max(0, countOf(pid) - before), 0);
  }

  /** Waits until no process and no descriptor is left over. */
  async quiet(): Promise<{ readonly processes: number; readonly descriptors: number }> {
    await until(() => this.left().length === 0 && this.surplus() === 0);
    return { processes: this.left().length, descriptors: this.surplus() };
  }
}

export function codeOf({ status, json }: Answer): string {
  return typeof json['code'] === 'string' ? json['code'] : status < 300 ? 'ok' : 'without a code';
}

function countOf(pid: number): number {
  try {
    return descriptorsOf(pid);
  } catch {
    return 0; // it has ended
  }
}
