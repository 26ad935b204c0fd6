import { readFileSync } from 'node:fs';
import { CLOCK_THREAD_CPUTIME_ID } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

/** USER_HZ, the unit of the times in /proc/PID/stat: 100 on every Linux that Node supports. */
export const CLOCK_TICKS_PER_SECOND = 100;

/** CPU time of all threads of a process since it started. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may itself hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return (user + system) / CLOCK_TICKS_PER_SECOND;
}

/** CPU time of this thread, in user and kernel, whatever else the machine does meanwhile. */
export function threadCpuMicroseconds(): number {
  c.clockGettime(CLOCK_THREAD_CPUTIME_ID, scratch.address);
  const { view } = scratch; // the lower halves say it all, and need no bigint
  return view.getUint32(0, true) * 1e6 + view.getUint32(8, true) / 1e3;
}
