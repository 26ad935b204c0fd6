import { RING_COUNT_MAX } from '../../layout/limits.ts';
import { RING_FAULTED, RING_LOCK, RING_RECORD_SIZE, RING_STATE } from '../../layout/virtqueue.ts';
import { LinearMemoryHole } from '../os/linear-memory.ts';

// Repairs that a dying processor makes in the shared ring records, because others would wait for
// its locks forever. The processor does this itself. Its supervisor repeats it before it starts
// another, in case the thread died without a chance to do it.

/** After a trap, or with a hole in its memory, a processor can only end. */
export function isFatal(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof LinearMemoryHole;
}

/** Frees every lock that this processor holds. `start`: byte offset of the ring records. */
export function freeLocks(words: Int32Array, start: number, processor: number): void {
  for (let ring = 0; ring < RING_COUNT_MAX; ring++) {
    const at = (start + ring * RING_RECORD_SIZE + RING_LOCK) / 4;
    // Only if it is still ours: another processor may take a lock as soon as it is free.
    Atomics.compareExchange(words, at, processor + 1, 0);
  }
}

/** Marks a ring as not to be touched any more. Must come before its lock is freed. */
export function markFaulted(words: Int32Array, start: number, ring: number): void {
  Atomics.store(words, (start + ring * RING_RECORD_SIZE + RING_STATE) / 4, RING_FAULTED);
}
