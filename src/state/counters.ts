import { COUNTER_DROPS, COUNTER_FAULT_REASONS } from '../../layout/counters.ts';
import { PORT_LEARNED_COUNT, PORT_UNLEARNED } from '../../layout/port.ts';
import {
  type Counter,
  countersOf,
  type Direction,
  RING_COUNTERS,
  readTable,
} from './counter-table.ts';
import { DROP_REASONS } from './drop-reasons.ts';
import { FAULT_REASONS } from './ring-problem.ts';
import type { SharedState } from './shared-state.ts';
import type {
  AddressStats,
  ControlStats,
  QueueStats,
  RingStats,
  RxStats,
  TxStats,
} from './stats.ts';

// Reading costs the data path nothing.

type Table = Readonly<Record<string, Counter>>;
type Read = (counter: number) => number;

const TABLES: Readonly<Record<Direction, Table>> = {
  tx: Object.fromEntries(countersOf(RING_COUNTERS, 'tx')),
  rx: Object.fromEntries(countersOf(RING_COUNTERS, 'rx')),
  control: Object.fromEntries(countersOf(RING_COUNTERS, 'control')),
};

/** Reads a queue's counters through `read`: settled frames first, then arrived ones. */
export function readRing<Of extends Direction>(direction: Of, read: Read): RingStats<Of> {
  const drops = readReasons(DROP_REASONS, (reason) => read(COUNTER_DROPS + reason));
  const faultReasons = readReasons(FAULT_REASONS, (fault) =>
    read(COUNTER_FAULT_REASONS + fault - 1),
  );
  // TABLES[direction] has exactly the names of this type.
  return { ...readTable(TABLES[direction], read), faultReasons, drops } as RingStats<Of>;
}

/** The reasons that have occurred. */
function readReasons<Name extends string>(
  table: Readonly<Record<Name, { readonly number: number }>>,
  read: Read,
): Partial<Record<Name, number>> {
  const counts: Partial<Record<Name, number>> = {};
  for (const name in table) {
    const count = read(table[name].number);
    if (count > 0) counts[name] = count;
  }
  return counts;
}

/** How many addresses a port has in the MAC table, and how often learning failed. */
export function readAddresses(shared: SharedState, port: number): AddressStats {
  const record = shared.portOffset(port);
  return {
    learned: Math.max(0, shared.view.getInt32(record + PORT_LEARNED_COUNT, true)),
    unlearned: Number(shared.view.getBigUint64(record + PORT_UNLEARNED, true)),
  };
}

/**
 * The counters of each queue of a VF. Even queues receive, odd ones transmit (virtio 1.3, 5.1.2).
 */
export function readQueues(
  shared: SharedState,
  firstRing: number,
  queuePairs: number,
): QueueStats[] {
  const queues: QueueStats[] = [];
  for (let queue = 0; queue < queuePairs * 2; queue++) {
    const ring = firstRing + queue;
    const read = (counter: number): number => shared.counter(ring, counter);
    if (queue % 2 === 1) queues.push({ queue, direction: 'tx', ...readRing('tx', read) });
    else queues.push({ queue, direction: 'rx', ...readRing('rx', read) });
  }
  return queues;
}

/** The counters of a VF's control queue, or undefined if it was never used. */
export function readControl(shared: SharedState, ring: number): ControlStats | undefined {
  const stats = readRing('control', (counter) => shared.counter(ring, counter));
  const isUnused = Object.keys(TABLES.control).every((name) => stats[name as 'faults'] === 0);
  return isUnused ? undefined : stats;
}

/** Sums over the queues of one direction. */
export function sumTx(queues: readonly QueueStats[]): TxStats {
  return sumRings(
    'tx',
    queues.filter((queue) => queue.direction === 'tx'),
  );
}

export function sumRx(queues: readonly QueueStats[]): RxStats {
  return sumRings(
    'rx',
    queues.filter((queue) => queue.direction === 'rx'),
  );
}

function sumRings<Of extends Direction>(
  direction: Of,
  rings: readonly RingStats<Of>[],
): RingStats<Of> {
  const total = readRing(direction, () => 0);
  for (const ring of rings) {
    for (const name of Object.keys(TABLES[direction])) add(total, ring, name);
    for (const name in ring.drops) add(total.drops, ring.drops, name);
    for (const name in ring.faultReasons) add(total.faultReasons, ring.faultReasons, name);
  }
  return total;
}

function add(total: object, more: object, name: string): void {
  const sums = total as Record<string, number>;
  sums[name] = (sums[name] ?? 0) + ((more as Record<string, number>)[name] ?? 0);
}
