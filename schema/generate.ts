// Writes what ships beside this file: `npm run schema`. A test holds these files to the sources.
import { writeFileSync } from 'node:fs';
import { schemaFiles } from './files.js';

for (const [name, text] of await schemaFiles()) writeFileSync(new URL(name, import.meta.url), text);
