import {
  COUNTER_BYTES,
  COUNTER_CHECKSUMS,
  COUNTER_DROPS,
  COUNTER_FAULT_REASONS,
  COUNTER_FAULTS,
  COUNTER_FORWARDED,
  COUNTER_GRO,
  COUNTER_INTERRUPTS,
  COUNTER_KICKS,
  COUNTER_OFFERED,
  COUNTER_PACKETS,
  COUNTER_REFUSED,
  COUNTER_REPLICAS,
  COUNTER_SEGMENTS,
  COUNTER_WINDOW_MISSES,
} from '../../layout/counters.ts';
import { VF_LEARNED_COUNT, VF_UNLEARNED } from '../../layout/vf.ts';
import { DROP_NAMES, FAULT_NAMES } from './counter-names.ts';
import type { SharedState } from './shared-state.ts';
import type {
  AddressStats,
  ControlStats,
  QueueStats,
  RingFaults,
  RxStats,
  TxStats,
} from './stats.ts';

// Reading costs the data path nothing. Settled counters are read before `packets`, which the
// firmware raises first: a reader in mid-batch sees frames on their way, never more settled than
// came.

function readDrops(shared: SharedState, ring: number): Record<string, number> {
  const drops: Record<string, number> = {};
  DROP_NAMES.forEach((name, reason) => {
    const frames = shared.counter(ring, COUNTER_DROPS + reason);
    if (frames > 0) drops[name] = frames;
  });
  return drops;
}

/** How often a ring was stopped, and why: their sum is `faults`. */
function readFaults(shared: SharedState, ring: number): RingFaults {
  const faultReasons: Record<string, number> = {};
  FAULT_NAMES.forEach((name, fault) => {
    const count = shared.counter(ring, COUNTER_FAULT_REASONS + fault - 1);
    if (count > 0) faultReasons[name] = count;
  });
  return { faults: shared.counter(ring, COUNTER_FAULTS), faultReasons };
}

function readTx(shared: SharedState, ring: number): TxStats {
  const drops = readDrops(shared, ring);
  return {
    replicas: shared.counter(ring, COUNTER_REPLICAS),
    forwarded: shared.counter(ring, COUNTER_FORWARDED),
    packets: shared.counter(ring, COUNTER_PACKETS),
    bytes: shared.counter(ring, COUNTER_BYTES),
    kicks: shared.counter(ring, COUNTER_KICKS),
    interrupts: shared.counter(ring, COUNTER_INTERRUPTS),
    windowMisses: shared.counter(ring, COUNTER_WINDOW_MISSES),
    ...readFaults(shared, ring),
    drops,
  };
}

function readRx(shared: SharedState, ring: number): RxStats {
  const drops = readDrops(shared, ring);
  return {
    packets: shared.counter(ring, COUNTER_PACKETS),
    segments: shared.counter(ring, COUNTER_SEGMENTS),
    coalesced: shared.counter(ring, COUNTER_GRO),
    checksums: shared.counter(ring, COUNTER_CHECKSUMS),
    offered: shared.counter(ring, COUNTER_OFFERED),
    bytes: shared.counter(ring, COUNTER_BYTES),
    interrupts: shared.counter(ring, COUNTER_INTERRUPTS),
    windowMisses: shared.counter(ring, COUNTER_WINDOW_MISSES),
    ...readFaults(shared, ring),
    drops,
  };
}

/** What a port has taught the MAC table, and how often that failed. */
export function readAddresses(shared: SharedState, port: number): AddressStats {
  const record = shared.vfOffset(port);
  return {
    learned: Math.max(0, shared.view.getInt32(record + VF_LEARNED_COUNT, true)),
    unlearned: Number(shared.view.getBigUint64(record + VF_UNLEARNED, true)),
  };
}

/**
 * The counters of each queue of a VF: even numbers receive, odd ones transmit (virtio 1.3, 5.1.2).
 */
export function readQueues(
  shared: SharedState,
  firstRing: number,
  queuePairs: number,
): QueueStats[] {
  const queues: QueueStats[] = [];
  for (let queue = 0; queue < queuePairs * 2; queue++) {
    const ring = firstRing + queue;
    if (queue % 2 === 1) queues.push({ queue, direction: 'tx', ...readTx(shared, ring) });
    else queues.push({ queue, direction: 'rx', ...readRx(shared, ring) });
  }
  return queues;
}

/** The counters of a VF's control queue; nothing if it was never used. */
export function readControl(shared: SharedState, ring: number): ControlStats | undefined {
  const stats = {
    commands: shared.counter(ring, COUNTER_PACKETS),
    refused: shared.counter(ring, COUNTER_REFUSED),
    kicks: shared.counter(ring, COUNTER_KICKS),
    interrupts: shared.counter(ring, COUNTER_INTERRUPTS),
  };
  const faults = readFaults(shared, ring);
  if ([...Object.values(stats), faults.faults].every((count) => count === 0)) return undefined;
  return { ...stats, ...faults, drops: readDrops(shared, ring) };
}

/** The sum over the queues of one direction. */
export function sumTx(queues: readonly QueueStats[]): TxStats {
  const tx = queues.filter((queue) => queue.direction === 'tx');
  return {
    packets: sum(tx, 'packets'),
    bytes: sum(tx, 'bytes'),
    forwarded: sum(tx, 'forwarded'),
    replicas: sum(tx, 'replicas'),
    kicks: sum(tx, 'kicks'),
    interrupts: sum(tx, 'interrupts'),
    windowMisses: sum(tx, 'windowMisses'),
    faults: sum(tx, 'faults'),
    faultReasons: sumRecords(tx.map(({ faultReasons }) => faultReasons)),
    drops: sumRecords(tx.map(({ drops }) => drops)),
  };
}

export function sumRx(queues: readonly QueueStats[]): RxStats {
  const rx = queues.filter((queue) => queue.direction === 'rx');
  return {
    offered: sum(rx, 'offered'),
    segments: sum(rx, 'segments'),
    coalesced: sum(rx, 'coalesced'),
    checksums: sum(rx, 'checksums'),
    packets: sum(rx, 'packets'),
    bytes: sum(rx, 'bytes'),
    interrupts: sum(rx, 'interrupts'),
    windowMisses: sum(rx, 'windowMisses'),
    faults: sum(rx, 'faults'),
    faultReasons: sumRecords(rx.map(({ faultReasons }) => faultReasons)),
    drops: sumRecords(rx.map(({ drops }) => drops)),
  };
}

function sum<Key extends string>(stats: readonly Record<Key, number>[], key: Key): number {
  return stats.reduce((total, one) => total + one[key], 0);
}

function sumRecords(records: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const record of records) {
    for (const [name, count] of Object.entries(record)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}
