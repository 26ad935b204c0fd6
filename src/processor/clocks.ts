import { monotonicMicroseconds } from '../os/clock.ts';
import { threadCpuMicroseconds } from '../os/cpu-time.ts';

/** Microseconds: of the monotonic clock (see src/os/clock.ts), and of this thread's CPU time. */
export const CLOCKS = { now: monotonicMicroseconds, cpu: threadCpuMicroseconds };
