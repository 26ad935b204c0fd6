import { readFileSync } from 'node:fs';

/** A field by its number in proc(5). */
type Stat = (field: number) => string;

/** USER_HZ, the unit of times in /proc/PID/stat: 100 on every Linux that Node supports. */
export const CLOCK_TICKS_PER_SECOND = 100;

/**
 * The stat file of a process or thread, given its directory in /proc. Fields 1 and 2 are skipped:
 * the second is the program's name in parentheses, which may contain spaces and parentheses.
 */
export function readStat(directory: string): Stat {
  const text = readFileSync(`${directory}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (field) => fields[field - 3] ?? '';
}

/** CPU time, user and kernel: utime and stime. */
export function cpuSecondsIn(stat: Stat): number {
  return (Number(stat(14)) + Number(stat(15))) / CLOCK_TICKS_PER_SECOND;
}
