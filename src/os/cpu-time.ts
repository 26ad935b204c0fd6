import { readFileSync } from 'node:fs';

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
