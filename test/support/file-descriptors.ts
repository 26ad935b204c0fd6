import { readdirSync, readlinkSync } from 'node:fs';
import { awaitCloses } from '../../src/os/closer.ts';
import { c } from '../../src/os/libc.ts';
import { checked } from '../../src/os/system-error.ts';
import { descriptorsIn, replaceDescriptors } from '../../src/state/saved.ts';

const F_DUPFD_CLOEXEC = 1030;
/** Descriptors that are being closed have lower numbers than this. */
const OTHERS_FIRST = 500;

/**
 * Counts the descriptors that this process holds. The difference shows what a test left open.
 */
export function openFdCount(): number {
  awaitCloses();
  return readdirSync('/proc/self/fd').filter((fd) => isHeld(`/proc/self/fd/${fd}`)).length;
}

/** Excludes those that are open only briefly: the listing's own and the watchdog's. */
function isHeld(path: string): boolean {
  try {
    return !readlinkSync(path).startsWith('/proc/');
  } catch {
    return false; // closed in the meantime
  }
}

/** The state with duplicates of its descriptors. The originals are closed. */
export function withOtherDescriptors<State>(state: State): State {
  const others = new Map(
    descriptorsIn(state).map((fd) => {
      return [fd, checked('fcntl', c.fcntl(fd, F_DUPFD_CLOEXEC, OTHERS_FIRST))] as const;
    }),
  );
  for (const fd of others.keys()) c.close(fd);
  return replaceDescriptors(state, (fd) => others.get(fd) ?? -1);
}
