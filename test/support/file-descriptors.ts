import { readdirSync, readlinkSync } from 'node:fs';
import { awaitCloses } from '../../src/os/closer.ts';

/**
 * How many descriptors this process holds: what a test opened and nobody closed shows as a
 * difference.
 */
export function openFdCount(): number {
  awaitCloses();
  return readdirSync('/proc/self/fd').filter((fd) => isHeld(`/proc/self/fd/${fd}`)).length;
}

/** Not so: what is open for a moment only, as the listing itself and the watchdog's looks are. */
function isHeld(path: string): boolean {
  try {
    return !readlinkSync(path).startsWith('/proc/');
  } catch {
    return false; // it is gone already
  }
}
