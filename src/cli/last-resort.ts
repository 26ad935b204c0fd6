// What nobody has caught. A NIC whose control plane made a mistake still carries frames: it goes on
// and says so. Before it serves anybody there is nothing to go on with.

import { reportFailure } from '../background.ts';

const EVENTS = ['uncaughtException', 'unhandledRejection'];

interface Host {
  on(event: string, listener: (error: unknown) => void): unknown;
}

/**
 * The handler of last resort of `heddle up`: it calls `end` with an error that nobody caught.
 * Returns what is to be called when the NIC serves. From then on such an error is an event,
 * `internal-error`, and no end.
 */
export function installLastResort(host: Host, end: (error: unknown) => void): () => void {
  let isServing = false;
  const handle = (error: unknown): void => {
    if (isServing) reportFailure('go on with something, for nobody caught its error', error);
    else end(error);
  };
  for (const event of EVENTS) host.on(event, handle);
  return () => {
    isServing = true;
  };
}
