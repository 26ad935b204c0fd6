import { threadCpuMicroseconds } from '../../src/os/cpu-time.ts';

/** What takes longer than this may be more than the thread's own work. */
const GAP_NANOSECONDS = 20e3;

/**
 * A clock that stands still while others have the CPU: what it measures does not depend on what
 * else the machine does. It is the monotonic clock, since a look at a thread's CPU time takes as
 * long as many batches; only after a gap does it ask for that, and leaves out the rest.
 */
export class OwnTime {
  /** What the clock has left out. */
  #lost = 0;
  #seen = monotonicNanoseconds();
  #cpu = cpuNanoseconds();
  /** The time, monotonic, of that. */
  #cpuAt = this.#seen;

  /** The time in ns. */
  now(): number {
    const now = monotonicNanoseconds();
    if (now - this.#seen > GAP_NANOSECONDS) this.#leaveOut(now);
    else this.#seen = now;
    return this.#seen - this.#lost;
  }

  /** The same after a sleep, which has its time. */
  wake(): number {
    this.#seen = monotonicNanoseconds();
    this.#cpu = cpuNanoseconds();
    this.#cpuAt = this.#seen;
    return this.#seen - this.#lost;
  }

  #leaveOut(now: number): void {
    const cpu = cpuNanoseconds();
    const lost = now - this.#cpuAt - (cpu - this.#cpu);
    this.#lost += Math.min(Math.max(lost, 0), now - this.#seen); // it never goes back
    this.#cpu = cpu;
    this.#cpuAt = this.#seen = monotonicNanoseconds();
    this.#lost += this.#seen - now; // this look
  }
}

function monotonicNanoseconds(): number {
  const [seconds, rest] = process.hrtime();
  return seconds * 1e9 + rest;
}

function cpuNanoseconds(): number {
  return threadCpuMicroseconds() * 1e3;
}
