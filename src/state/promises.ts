import { FRAME_SIZE_MAX, NODE_COUNT } from '../../layout/limits.ts';
import { SHARED_PROMISES } from '../../layout/memory.ts';
import {
  PROMISE_BURST_NS,
  PROMISE_MAX_BYTE_NS,
  PROMISE_MAX_PACKET_NS,
  PROMISE_PARENT,
  PROMISE_PRIORITY,
  PROMISE_RX_BURST_NS,
  PROMISE_RX_BYTE_NS,
  PROMISE_RX_OVERHEAD,
  PROMISE_RX_PACKET_NS,
  PROMISE_SHARE_BYTE_NS,
  PROMISE_SHARE_TIME,
  PROMISE_SIZE,
  PROMISE_WEIGHT_INVERSE,
} from '../../layout/scheduler.ts';

/** What a node of the schedule may send, in the words of devlink-rate(8). 0: none. */
export interface SendingWords {
  /** Guaranteed, in bit/s. */
  txShare: number;
  /** In bit/s. */
  txMax: number;
  /** Its part of what is left, relative to its siblings. */
  txWeight: number;
  /** Higher goes first. */
  txPriority: number;
  /** Bytes that may follow each other at once after a pause; 0: enough for txMax to be reached. */
  txBurst: number;
}

/** What a function is promised. */
export interface FunctionWords extends SendingWords {
  /** In packets/s. */
  txMaxPackets: number;
  /** In bit/s. */
  rxMax: number;
  /** In packets/s. */
  rxMaxPackets: number;
}

interface PromiseFields {
  maxByteNs: number;
  maxPacketNs: number;
  burstNs: number;
  shareByteNs: number;
  shareTime: number;
  weightInverse: number;
  parent: number;
  priority: number;
  rxByteNs: number;
  rxPacketNs: number;
  rxBurstNs: number;
  rxOverhead: number;
}

/** A promise record: the fields of layout/scheduler.ts. What is missing is 0. */
export type NodePromise = Partial<PromiseFields>;

/** The f64 fields. */
const TIMES = Object.entries({
  maxByteNs: PROMISE_MAX_BYTE_NS,
  maxPacketNs: PROMISE_MAX_PACKET_NS,
  burstNs: PROMISE_BURST_NS,
  shareByteNs: PROMISE_SHARE_BYTE_NS,
  shareTime: PROMISE_SHARE_TIME,
  weightInverse: PROMISE_WEIGHT_INVERSE,
  rxByteNs: PROMISE_RX_BYTE_NS,
  rxPacketNs: PROMISE_RX_PACKET_NS,
  rxBurstNs: PROMISE_RX_BURST_NS,
}) as [keyof PromiseFields, number][];

/** The u32 fields. */
const WORDS = Object.entries({
  parent: PROMISE_PARENT,
  priority: PROMISE_PRIORITY,
  rxOverhead: PROMISE_RX_OVERHEAD,
}) as [keyof PromiseFields, number][];

/**
 * Writes the fields of a node's record that differ, each in one store. Returns whether any did.
 */
export function writePromise(view: DataView, node: number, wanted: NodePromise): boolean {
  if (node >= NODE_COUNT) throw new Error(`assertion: node ${node} of the schedule`);
  const record = SHARED_PROMISES + node * PROMISE_SIZE;
  let hasChanged = false;
  for (const [name, field] of TIMES) {
    const value = wanted[name] ?? 0;
    if (view.getFloat64(record + field, true) === value) continue;
    view.setFloat64(record + field, value, true);
    hasChanged = true;
  }
  for (const [name, field] of WORDS) {
    const value = wanted[name] ?? 0;
    if (view.getUint32(record + field, true) === value) continue;
    view.setUint32(record + field, value, true);
    hasChanged = true;
  }
  return hasChanged;
}

/** ns that a byte takes at this many bit/s; 0: no rate. */
function byteTime(bitsPerSecond: number): number {
  return bitsPerSecond === 0 ? 0 : 8e9 / bitsPerSecond;
}

function packetTime(packetsPerSecond: number): number {
  return packetsPerSecond === 0 ? 0 : 1e9 / packetsPerSecond;
}

/** A timer, a pause and a round of 64 functions: a maximum must be reached in spite of them. */
const BURST_NS = 450_000;
/** Two frames of the usual MTU, where the rate is so low that they take longer. */
const BURST_BYTES = 2 * 1514;

/** The time for which an unused maximum is kept. */
function burstTime(byteNs: number, packetNs: number, burstBytes = 0): number {
  if (byteNs === 0) return packetNs === 0 ? 0 : Math.max(BURST_NS, 2 * packetNs);
  return burstBytes > 0 ? burstBytes * byteNs : Math.max(BURST_NS, BURST_BYTES * byteNs);
}

/** The part of a record that says what a node may send. `parent`: the group's node, or 0. */
export function sendingPromise(
  words: SendingWords & { txMaxPackets?: number },
  { parent, share, totalShare }: { parent: number; share: number; totalShare: number },
): NodePromise {
  const maxByteNs = byteTime(words.txMax);
  const maxPacketNs = packetTime(words.txMaxPackets ?? 0);
  return {
    maxByteNs,
    maxPacketNs,
    burstNs: burstTime(maxByteNs, maxPacketNs, words.txBurst),
    shareByteNs: byteTime(share),
    shareTime: share === 0 ? 0 : 1 / timeRate(share, totalShare),
    weightInverse: words.txWeight === 1 ? 0 : 1 / words.txWeight,
    parent,
    priority: words.txPriority,
  };
}

/** The part of a function's record that says what it may receive. */
export function receivingPromise(
  words: Pick<FunctionWords, 'rxMax' | 'rxMaxPackets'>,
): NodePromise {
  const rxByteNs = byteTime(words.rxMax);
  const rxPacketNs = packetTime(words.rxMaxPackets);
  // Less would drop what TCP sends in one go: frames of 64 KiB that may not wait for long.
  const rxBurstNs = Math.max(burstTime(rxByteNs, rxPacketNs), FRAME_SIZE_MAX * rxByteNs);
  return { rxByteNs, rxPacketNs, rxBurstNs };
}

/** The virtual wire of a NIC: the record of the root. */
export function nicPromise(capacity: number): NodePromise {
  const maxByteNs = byteTime(capacity);
  return { maxByteNs, burstNs: burstTime(maxByteNs, 0) };
}

/** A round of 64 functions, twice: the queue in the kernel must not run empty in between. */
const UPLINK_BURST_NS = 500_000;

/** What an uplink may be sent, so that frames wait in the guests and not in the kernel. */
export function uplinkPromise(capacity: number, overhead: number): NodePromise {
  if (capacity === 0) return {};
  return {
    rxByteNs: byteTime(capacity),
    rxBurstNs: UPLINK_BURST_NS,
    rxOverhead: overhead,
  };
}

/**
 * ns of processor time that a byte costs in frames of 64 and of 1500 bytes, with its part of the
 * batch's overhead.
 */
const BYTE_COST_64 = 1.2;
const BYTE_COST_1500 = 0.15;
/** The part of a processor's time that guarantees may take. */
const GUARANTEED_TIME = 0.9;

/**
 * The processor time that a guarantee may cost, as a part of one processor: what it takes in frames
 * of 64 bytes if all guarantees together leave room for that, and in any case what it takes in
 * frames of 1500. Without a cap, a guarantee in bytes would be a blank cheque for broadcasts.
 */
function timeRate(share: number, totalShare: number): number {
  const bytesPerNs = 1 / byteTime(share);
  const room = GUARANTEED_TIME * byteTime(totalShare);
  return bytesPerNs * Math.min(BYTE_COST_64, Math.max(BYTE_COST_1500, room));
}

/** The guarantees, in bit/s, that this many processors can keep in frames of 1500 bytes. */
export function guaranteesMax(processors: number): number {
  return Math.round((processors * GUARANTEED_TIME * 8e9) / BYTE_COST_1500);
}
