/** Writes the manual page beside this file. */
import { writeFileSync } from 'node:fs';
import { manPage } from '../src/cli/man_page.js';

writeFileSync(new URL('mxm-secretsd.1', import.meta.url), manPage());
