// A clock for hot loops: once optimised, it does not allocate, unlike `performance.now`.

import { readdirSync, readFileSync } from 'node:fs';
import { cpuSecondsOf } from '../../src/os/cpu-time.ts';
import type { Cores } from './protocol.ts';

/** Microseconds since an arbitrary time in the past. */
export function microseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** What the kernel calls run delay: runnable, while other work had the CPU. */
function waitedSecondsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, task) => {
    const [, nanoseconds] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
    return sum + Number(nanoseconds) / 1e9;
  }, 0);
}

/** The processes of the switch, received with the connect request. */
let switchPids: readonly number[] = [];

export function watchSwitch(pids: readonly number[]): void {
  switchPids = pids;
}

/** CPU seconds per second of both sides, since the returned function was created. */
export function startCoreClock(): () => Cores {
  const switchSeconds = () => switchPids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  const waitedSeconds = () => switchPids.reduce((sum, pid) => sum + waitedSecondsOf(pid), 0);
  const waited = waitedSeconds();
  const own = process.cpuUsage();
  const others = switchSeconds();
  const started = microseconds();
  return () => {
    const elapsed = microseconds() - started;
    const { user, system } = process.cpuUsage(own);
    const switchCores = ((switchSeconds() - others) * 1e6) / elapsed;
    const switchWaits = ((waitedSeconds() - waited) * 1e6) / elapsed;
    return { switchCores, switchWaits, generatorCores: (user + system) / elapsed };
  };
}
