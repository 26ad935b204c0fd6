// What the kernel reports about a process.

import { readdirSync, readFileSync } from 'node:fs';
import { CLOCK_TICKS_PER_SECOND } from '../src/os/proc-stat.ts';

/** How often its threads have gone to sleep: each time, something woke them again. */
export function sleepsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    return sum + readField(status, 'voluntary_ctxt_switches');
  }, 0);
}

/** Its own memory in KiB: mapped guest memory does not count. */
export function ownKiBOf(pid: number): number {
  return readField(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'), 'Anonymous');
}

function readField(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text);
  if (found === null) throw new Error(`the kernel does not report ${name}`);
  return Number(found[1]);
}

/** CPU time used on the machine since it started. */
export function busySeconds(): number {
  const [, user, nice, system, , , irq, softIrq] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number);
  const ticks = user! + nice! + system! + irq! + softIrq!;
  return ticks / CLOCK_TICKS_PER_SECOND;
}
