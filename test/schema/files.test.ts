import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { schemaFiles } from '../../schema/files.js';

const FOLDER = new URL('../../schema/', import.meta.url);

t.test('what ships is what the sources give: else run `npm run schema`', async (t) => {
  const files = await schemaFiles();
  t.same(
    readdirSync(FOLDER).filter((name) => name.endsWith('.json')),
    [...files.keys()].sort(),
  );
  for (const [name, text] of files) t.equal(readFileSync(new URL(name, FOLDER), 'utf8'), text, name);
});
