// What all NICs of this process share out among them, because the kernel limits it per process:
// address space, memory mappings, file descriptors.

import { SLOT_COUNT_MAX } from '../../layout/memory.ts';
import { operatorError } from '../errors.ts';
import { mapCountMax, processLimit } from '../os/limits.ts';

const GIB = 2 ** 30;

/**
 * Address space that V8 reserves for one WebAssembly memory, however small: what a 32-bit index and
 * a 32-bit offset can reach, and a guard. Measured with Node 20 to 24.
 */
const MEMORY_BYTES = 10 * GIB;
/** Memories of the main thread: scratch, poller, shared state, and one to spare. */
const MAIN_MEMORIES = 4;
/** Of a processor: its own, its scratch, and its events. */
const PROCESSOR_MEMORIES = 3;
/** Heap and code of a thread of JavaScript, and its stack. */
const THREAD_BYTES = GIB;

/**
 * Mappings of a NIC that moves nothing, measured: 250 for Node and the main thread and 70 for each
 * processor, with room for uplinks and for what Node maps later.
 */
const MAIN_MAPPINGS = 2000;
const PROCESSOR_MAPPINGS = 200;
/** A file in the middle of memory that is taken away: itself, and the rest behind it. */
const MAPPINGS_PER_FILE = 2;

/** Something there is only so much of. */
export class Budget {
  readonly total: number;
  #used = 0;

  constructor(total: number) {
    this.total = total;
  }

  get left(): number {
    return this.total - this.#used;
  }

  /** False if there is not so much left; then nothing is taken. */
  take(count: number): boolean {
    if (count > this.left) return false;
    this.#used += count;
    return true;
  }

  give(count: number): void {
    this.#used -= count;
    if (this.#used < 0) throw new Error('assertion: more given back than was taken');
  }
}

let mappings: Budget | null = null;

/** The memory mappings of this process, without those that Node itself needs. */
export function mappingBudget(): Budget {
  mappings ??= new Budget(mapCountMax() - MAIN_MAPPINGS);
  return mappings;
}

/** What a processor needs whatever its guests do: all its windows at once. */
export function mappingsOfProcessor(): number {
  return PROCESSOR_MAPPINGS + SLOT_COUNT_MAX * MAPPINGS_PER_FILE;
}

/** Takes what processors need of the mappings. Throws an OperatorError if there are too few. */
export function takeProcessorMappings(processors: number, budget = mappingBudget()): number {
  const count = processors * mappingsOfProcessor();
  if (budget.take(count)) return count;
  throw operatorError('HEDDLE_MAPPINGS', {
    what: `run with ${processors} processors`,
    limit: budget.total + MAIN_MAPPINGS,
    received: `${count} more mappings`,
  });
}

/**
 * Throws an OperatorError if the process may not have the address space that processors need. To be
 * asked first: V8 ends the whole process where it cannot reserve memory for a thread.
 */
export function checkAddressSpace(
  processors: number,
  limit = processLimit('Max address space'),
): void {
  const threads = 1 + processors;
  const memories = MAIN_MEMORIES + processors * PROCESSOR_MEMORIES;
  const needed = memories * MEMORY_BYTES + threads * THREAD_BYTES;
  if (needed <= limit) return;
  throw operatorError('HEDDLE_ADDRESS_SPACE', {
    received: `${Math.round(limit / GIB)} GiB, but ${needed / GIB} GiB are needed`,
  });
}

/** Descriptors of Node, of the API and its clients, of processors and uplinks. */
const OWN_DESCRIPTORS = 256;
/** A VF needs besides its rings: its sockets, and as many memory regions as VMs commonly have. */
const BASE_DESCRIPTORS = 4 + 28;
/** Kick, call and error. */
const DESCRIPTORS_PER_RING = 3;

/**
 * Descriptors that one front-end may leave with the NIC: an equal share of what the process
 * may have, but never less than a VM needs.
 */
export function descriptorQuota(
  { functions, queuePairs }: { functions: number; queuePairs: number },
  limit = processLimit('Max open files'),
): number {
  const share = Math.floor((limit - OWN_DESCRIPTORS) / Math.max(1, functions));
  const needed = BASE_DESCRIPTORS + (2 * queuePairs + 1) * DESCRIPTORS_PER_RING;
  return Math.max(share, needed);
}
