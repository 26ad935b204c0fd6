import { readdirSync } from 'node:fs';
import { CPU_COUNT_MAX } from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

/** Bytes: one bit per CPU. */
const MASK_SIZE = CPU_COUNT_MAX / 8;
/** Means the calling thread to kernel calls that take a thread id. */
export const THIS_THREAD = 0;

/** The ids of this process's threads. */
export function threadIds(): number[] {
  return readdirSync('/proc/self/task').map(Number);
}

/** The CPUs that a thread may run on, in order. Throws a SystemError if it has ended. */
export function cpusOf(thread: number): number[] {
  checked('sched_getaffinity', c.getAffinity(thread, MASK_SIZE, scratch.address));
  const cpus: number[] = [];
  for (let cpu = 0; cpu < CPU_COUNT_MAX; cpu++) {
    if (((scratch.bytes[cpu >> 3] ?? 0) & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  }
  return cpus;
}

/**
 * Pins a thread to these CPUs; threads that it starts later inherit them. Throws a SystemError if
 * the thread has ended, or EINVAL if neither the machine nor the thread's cpuset (cgroup) has any
 * of them.
 */
export function keepOnCpus(thread: number, cpus: readonly number[]): void {
  scratch.bytes.fill(0, 0, MASK_SIZE);
  for (const cpu of cpus) {
    scratch.bytes[cpu >> 3] = (scratch.bytes[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  }
  checked('sched_setaffinity', c.setAffinity(thread, MASK_SIZE, scratch.address));
}
