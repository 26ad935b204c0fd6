// Errors that nobody caught. A NIC whose control plane failed still carries frames, so it continues
// and reports the error. Before it serves, there is nothing to continue.

import { reportFailure } from '../background.ts';

const EVENTS = ['uncaughtException', 'unhandledRejection'];

interface Host {
  on(event: string, listener: (error: unknown) => void): unknown;
}

/**
 * Handles uncaught errors in `heddle up`: calls `end` with the error. Call the returned function
 * when the NIC serves; from then on such an error is reported as the event `internal-error`
 * instead.
 */
export function installLastResort(host: Host, end: (error: unknown) => void): () => void {
  let isServing = false;
  const handle = (error: unknown): void => {
    if (isServing) reportFailure('finish something: its error was not caught', error);
    else end(error);
  };
  for (const event of EVENTS) host.on(event, handle);
  return () => {
    isServing = true;
  };
}
