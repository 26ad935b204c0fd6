import { operatorError } from '../errors.ts';
import { cpusOf, keepOnCpus, THIS_THREAD, threadIds } from '../os/cpu-affinity.ts';
import { SystemError } from '../os/system-error.ts';

/**
 * The CPUs reserved for a NIC's processors. While they are reserved, the other threads of this
 * process (the control plane, V8's helpers, the pool) stay off them, provided there are other CPUs.
 * Threads that someone else has pinned to CPUs are left alone.
 */
export class ReservedCpus {
  /** CPUs that the other threads have given up. */
  #given: readonly number[] = [];

  /** Throws an OperatorError if this process may not run on one of them. */
  reserve(cpus: readonly number[]): void {
    if (cpus.length === 0) return;
    const before = cpusOf(THIS_THREAD);
    for (const cpu of cpus) tryCpu(cpu, before);
    const others = before.filter((cpu) => !cpus.includes(cpu));
    if (others.length === 0) return; // no other CPU to move to
    this.#given = before.filter((cpu) => cpus.includes(cpu));
    moveFrom(before, others);
  }

  release(): void {
    if (this.#given.length === 0) return;
    const now = cpusOf(THIS_THREAD);
    moveFrom(now, [...now, ...this.#given]);
    this.#given = [];
  }
}

/** Tries it, because only the kernel knows what the cpuset allows. */
function tryCpu(cpu: number, before: readonly number[]): void {
  try {
    keepOnCpus(THIS_THREAD, [cpu]);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw operatorError('HEDDLE_CPU_NOT_AVAILABLE', { cpu }, { cause: error });
  } finally {
    keepOnCpus(THIS_THREAD, before);
  }
}

function moveFrom(before: readonly number[], after: readonly number[]): void {
  for (const thread of threadIds()) {
    try {
      if (cpusOf(thread).join() === before.join()) keepOnCpus(thread, after);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error; // the thread has ended
    }
  }
}
