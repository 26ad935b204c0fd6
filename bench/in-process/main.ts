// `main.js SECONDS FRAME_BYTES MODULE…`: one round. Prints nanoseconds a frame of each module.

import { readFileSync } from 'node:fs';
import { InProcessLoop } from './loop.ts';

const [seconds, frameBytes, ...modules] = process.argv.slice(2);
/** V8 must have compiled the loop, and met every window. */
const warmUpSeconds = 0.3;

for (const path of modules) {
  const loop = new InProcessLoop(readFileSync(path), Number(frameBytes));
  loop.run(warmUpSeconds);
  process.stdout.write(`${loop.run(Number(seconds))}\n`);
}
