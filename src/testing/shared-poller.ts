import { Poller } from '../os/poller.ts';

/**
 * A lease of the poller that all mock guests of a process share; the last release closes it.
 */
export interface PollerLease {
  readonly poller: Poller;
  release(): void;
}

let shared: Poller | null = null;
let leases = 0;

export function acquirePoller(): PollerLease {
  shared ??= new Poller();
  leases += 1;
  const poller = shared;
  let isHeld = true;
  const release = (): void => {
    if (!isHeld) return;
    isHeld = false;
    leases -= 1;
    if (leases > 0) return;
    poller.close();
    shared = null;
  };
  return { poller, release };
}
