// `npm run bench`: installs what is missing, builds, and runs the benchmark.

import { existsSync } from 'node:fs';

await import('./bootstrap.mjs');
await import('./build.mjs');
await import('../dist/bench/main.js');
