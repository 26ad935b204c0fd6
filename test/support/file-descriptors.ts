import { readdirSync, readlinkSync } from 'node:fs';
import { awaitCloses } from '../../src/os/closer.ts';
import { c } from '../../src/os/libc.ts';
import { checked } from '../../src/os/system-error.ts';
import { descriptorsIn, replaceDescriptors } from '../../src/state/saved.ts';

const F_DUPFD_CLOEXEC = 1030;
/** Numbers from here on are not those of any descriptor that is closed meanwhile. */
const OTHERS_FIRST = 500;

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

/** A state whose descriptors are duplicates; the ones that it named are closed. */
export function withOtherDescriptors<State>(state: State): State {
  const others = new Map(
    descriptorsIn(state).map((fd) => {
      return [fd, checked('fcntl', c.fcntl(fd, F_DUPFD_CLOEXEC, OTHERS_FIRST))] as const;
    }),
  );
  for (const fd of others.keys()) c.close(fd);
  return replaceDescriptors(state, (fd) => others.get(fd) ?? -1);
}
