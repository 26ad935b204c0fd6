import { parentPort, workerData } from 'node:worker_threads';
import type { ProcessorOptions } from './commands.ts';
import { ProcessorLoop } from './loop.ts';

// The entry of the worker thread. The loop returns when it is told to stop; a trap or a bug of ours
// ends the thread, and the supervisor starts another.
if (parentPort !== null) {
  const loop = new ProcessorLoop(workerData as ProcessorOptions, parentPort);
  loop.run();
}
