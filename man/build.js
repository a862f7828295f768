// Writes the manual page beside this file, from what has been built.
import { writeFileSync } from 'node:fs';
import { manPage } from '../dist/cli/man_page.js';

writeFileSync(new URL('mxm-secretsd.1', import.meta.url), manPage());
