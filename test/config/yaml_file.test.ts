import t from 'tap';
import { displayPath } from '../../src/config/display_path.js';
import { type ConfigProblem, formatProblem } from '../../src/config/problems.js';
import { readYamlFile } from '../../src/config/yaml_file.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

t.test('a file is read as plain data, and what is told of it has its place', (t) => {
  const file = writeFile(temporaryFolder(t), 'a.yaml', 'a:\n  b: 1\n  c: *gone\n');
  const told: ConfigProblem[] = [];
  const yaml = readYamlFile(file, displayPath, (problem) => told.push(problem))!;
  t.same(yaml.data, { a: { b: 1, c: undefined } });
  t.same(yaml.bytes.toString(), 'a:\n  b: 1\n  c: *gone\n');
  t.same(yaml.placeOf('/a/b'), { line: 2, column: 6 });
  yaml.report('/a/b', 'is wrong');
  yaml.report('/a/b', 'is unknown', 'key');
  yaml.report('/a/c', 'is missing');
  t.same(told.map(formatProblem), [
    `${file}:3:6: a.c: is an alias (*) without an anchor (&) before it`,
    `${file}:2:6: a.b: is wrong`,
    `${file}:2:3: a.b: is unknown`,
  ]);
  t.end();
});

t.test('a file that is no YAML, or cannot be read, has no data', (t) => {
  const folder = temporaryFolder(t);
  for (const file of [writeFile(folder, 'a.yaml', 'a: ['), `${folder}/gone.yaml`]) {
    const told: ConfigProblem[] = [];
    t.equal(
      readYamlFile(file, displayPath, (problem) => told.push(problem)),
      undefined,
    );
    t.equal(told.length, 1);
  }
  t.end();
});
