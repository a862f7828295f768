import { readFileSync } from 'node:fs';

/** The OpenAPI document of the routes, which stands beside `src` and `dist` alike; `npm run schema` writes it. */
export const OPENAPI = readFileSync(new URL('../schema/openapi.json', import.meta.url));
