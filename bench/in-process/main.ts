// `main.js SECONDS FRAME_BYTES MODULE…`: one round. Prints nanoseconds per frame for each module.

import { readFileSync } from 'node:fs';
import { InProcessLoop } from './loop.ts';

const [seconds, frameBytes, ...modules] = process.argv.slice(2);
/** Until V8 has compiled the loop, and every window has been used. */
const warmUpSeconds = 0.3;

for (const path of modules) {
  const loop = new InProcessLoop(readFileSync(path), Number(frameBytes));
  loop.run(warmUpSeconds);
  process.stdout.write(`${loop.run(Number(seconds))}\n`);
}
