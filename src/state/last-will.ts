import { RING_COUNT_MAX } from '../../layout/limits.ts';
import { RING_FAULTED, RING_LOCK, RING_RECORD_SIZE, RING_STATE } from '../../layout/virtqueue.ts';
import { LinearMemoryHole } from '../os/linear-memory.ts';

// What a dying processor has to put right in the shared ring records, since others would wait for
// its locks in vain. It does so itself. Its supervisor does it again before it starts another, in
// case the thread died without a chance to.

/** After a trap, or with a hole in its memory, a processor can do nothing but end. */
export function isFatal(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof LinearMemoryHole;
}

/** Frees every lock that this processor holds. `start`: of the ring records, in bytes. */
export function freeLocks(words: Int32Array, start: number, processor: number): void {
  for (let ring = 0; ring < RING_COUNT_MAX; ring++) {
    const at = (start + ring * RING_RECORD_SIZE + RING_LOCK) / 4;
    // Only if it is still ours: another processor may take one as soon as it is free.
    Atomics.compareExchange(words, at, processor + 1, 0);
  }
}

/** Notes that a ring is not to be touched any more. Before its lock is freed. */
export function markFaulted(words: Int32Array, start: number, ring: number): void {
  Atomics.store(words, (start + ring * RING_RECORD_SIZE + RING_STATE) / 4, RING_FAULTED);
}
