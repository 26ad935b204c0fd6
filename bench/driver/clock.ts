// A clock for hot loops: optimised, it allocates nothing, which `performance.now` does.

import { cpuSecondsOf } from '../../src/os/cpu-time.ts';
import type { Cores } from './protocol.ts';

/** Microseconds since some time in the past. */
export function microseconds(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** The processes on the other side, told at the connection. */
let switchPids: readonly number[] = [];

export function watchSwitch(pids: readonly number[]): void {
  switchPids = pids;
}

/** CPU seconds per second of both sides, since the returned function was made. */
export function startCoreClock(): () => Cores {
  const switchSeconds = () => switchPids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  const own = process.cpuUsage();
  const others = switchSeconds();
  const started = microseconds();
  return () => {
    const elapsed = microseconds() - started;
    const { user, system } = process.cpuUsage(own);
    const switchCores = ((switchSeconds() - others) * 1e6) / elapsed;
    return { switchCores, generatorCores: (user + system) / elapsed };
  };
}
