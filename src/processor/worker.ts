import { setFlagsFromString } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { keepOnCpus, THIS_THREAD } from '../os/cpu-affinity.ts';
import { Pulse } from '../watchdog/pulse.ts';
import type { ProcessorOptions } from './mailbox.ts';

// The entry of the worker thread. The loop returns when it is told to stop. A trap or a bug of ours
// ends the thread, and the supervisor starts another.
if (parentPort !== null) {
  const options = workerData as ProcessorOptions;
  try {
    if (options.cpu !== null) keepOnCpus(THIS_THREAD, [options.cpu]);
    const ProcessorLoop = await loadLoop();
    new ProcessorLoop(options, parentPort).run();
  } finally {
    // Even if it never began. When the process exits, it waits for this and for nothing after it.
    new Pulse(options.pulse).end();
  }
}

/**
 * Compiles all of its code now. By default, V8 compiles each function at its first call, while
 * rings wait. The flag is one of the whole program, so it is set back.
 */
async function loadLoop(): Promise<typeof import('./loop.ts').ProcessorLoop> {
  setFlagsFromString('--no-lazy');
  try {
    return (await import('./loop.ts')).ProcessorLoop;
  } finally {
    setFlagsFromString('--lazy');
  }
}
