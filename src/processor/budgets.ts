// Resources that the kernel limits per process, shared by all NICs of the process: address space,
// memory mappings, file descriptors.

import { SLOT_COUNT_MAX } from '../../layout/memory.ts';
import { operatorError } from '../errors.ts';
import { mapCountMax, processLimit } from '../os/limits.ts';

const GIB = 2 ** 30;

/**
 * Address space that V8 reserves for one WebAssembly memory of any size: the reach of a 32-bit
 * index plus a 32-bit offset, and a guard. Measured with Node 20 to 24.
 */
const MEMORY_BYTES = 10 * GIB;
/** Memories of the main thread: scratch, poller, shared state, and one to spare. */
const MAIN_MEMORIES = 4;
/** Memories of a processor: its linear memory, its scratch, and its events. */
const PROCESSOR_MEMORIES = 3;
/** Heap, code and stack of a JavaScript thread. */
const THREAD_BYTES = GIB;

/**
 * Mappings of a NIC that moves nothing. Measured: 250 for Node and the main thread, 70 for each
 * processor. The rest is room for uplinks and for what Node maps later.
 */
const MAIN_MAPPINGS = 2000;
const PROCESSOR_MAPPINGS = 200;
/**
 * A file mapped into reserved address space costs two: the file, and the part split off behind it.
 */
const MAPPINGS_PER_FILE = 2;

/** A resource of limited amount. */
export class Budget {
  readonly total: number;
  #used = 0;

  constructor(total: number) {
    this.total = total;
  }

  get left(): number {
    return this.total - this.#used;
  }

  /** Returns false, and takes nothing, if less than `count` is left. */
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

/** The memory mappings of this process, minus those that Node itself needs. */
export function mappingBudget(): Budget {
  mappings ??= new Budget(mapCountMax() - MAIN_MAPPINGS);
  return mappings;
}

/** What a processor needs in the worst case: all its windows mapped. */
export function mappingsOfProcessor(): number {
  return PROCESSOR_MAPPINGS + SLOT_COUNT_MAX * MAPPINGS_PER_FILE;
}

/** Reserves the mappings of these processors. Throws an OperatorError if there are too few. */
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
 * Throws an OperatorError if the address space limit of the process is too low for these
 * processors. Call it before starting any: V8 aborts the whole process if it cannot reserve memory
 * for a thread.
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

/** Descriptors of Node, the API and its clients, processors and uplinks. */
const OWN_DESCRIPTORS = 256;
/**
 * What a VF needs in addition to its rings: sockets, and as many memory regions as VMs commonly
 * have.
 */
const BASE_DESCRIPTORS = 4 + 28;
/** Kick, call and error. */
const DESCRIPTORS_PER_RING = 3;

/**
 * Descriptors that one front-end may leave with the NIC: an equal share of the process limit, but
 * never less than a VM needs.
 */
export function descriptorQuota(
  { functions, queuePairs }: { functions: number; queuePairs: number },
  limit = processLimit('Max open files'),
): number {
  const share = Math.floor((limit - OWN_DESCRIPTORS) / Math.max(1, functions));
  const needed = BASE_DESCRIPTORS + (2 * queuePairs + 1) * DESCRIPTORS_PER_RING;
  return Math.max(share, needed);
}
