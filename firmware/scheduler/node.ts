// A node of the schedule: this processor's own view of it, and its two shared records.
import { NODE_ROOT, STOP_BYTES, STOP_NS, STOP_NS_MAX, STOP_PACKETS } from '../../layout/limits';
import {
  NODE_SIZE,
  NODES_BASE,
  SHARED_ACCOUNTS,
  SHARED_BASE,
  SHARED_PROMISES,
} from '../../layout/memory';
import {
  ACCOUNT_SIZE,
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
} from '../../layout/scheduler';
import { LINKS_SIZE } from './heap';

// What a node is at the moment.
/** It has nothing to send; a function without rings on this processor is also IDLE. */
export const NODE_IDLE: u32 = 0;
/** It has something to send, and is in its parent's heaps. */
export const NODE_READY: u32 = 1;
/** It has used up its maximum, and is in the heap of timers. */
export const NODE_STOPPED: u32 = 2;

@unmanaged
export class Node {
  // The links of two heaps: READY_LINKS and OWED_LINKS. The timers use the former.
  readyKey: f64;
  readyChild: u32;
  readyNext: u32;
  readyPrevious: u32;
  owedKey: f64;
  owedChild: u32;
  owedNext: u32;
  owedPrevious: u32;
  /** What it has had by its weight, in ns of what is short: its virtual time. */
  v: f64;
  /** Since when it has been stopped. */
  stoppedSince: f64;
  /** How much of the lost time (lost.ts) is known to it, and what it may make up for, in ns. */
  lostSeen: f64;
  credit: f64;
  /** The same for its guarantee. */
  shareCredit: f64;
  /** Since when it has had nothing to send; 0: it has, or may not. For how long it had, lately. */
  idleSince: f64;
  idleTime: f64;
  state: u32;
  // As it was when the node became ready: the heaps that it is in.
  parent: u32;
  priority: u32;
  isOwed: bool;

  // A group, or the NIC: the heaps of its ready children.
  /** Those that have a guarantee, by the time until which it is fulfilled. */
  owed: u32;
  /** The priorities that have ready children: one bit each. */
  priorities: u32;
  /** Until when its maximum counts as what its children are short of. */
  shortUntil: f64;
  /** Work that is due to priorities below the highest, in ns, and which of them had the last. */
  spare: f64;
  sparePriority: u32;

  // A function: its rings, in a circle.
  rings: u32;
  /** The next one to serve. */
  ring: u32;
  /** How many of them, one after the other, had nothing. */
  empty: u32;
  /** Where it is in the list of idle functions. */
  idlePlace: u32;
  /** Work since it became ready, in ns. */
  work: f64;
  /** Until when others waited for it, or it for others, as long as they may. */
  patience: f64;
  /** Of the batch being decided: ns of its maximum that it takes, buffers of one of its rings, … */
  admittedNs: f64;
  admittedRing: u32;
  admittedBuffers: u32;
  /** … and which batch it is. */
  admission: u32;
  /** Frames since it had nothing left, and when that was. */
  frames: u32;
  emptySince: f64;
  /** The time between two of its frames lately, in ns. */
  interval: f64;
  /** Until when it is not looked at; 0: it is. */
  pausedUntil: f64;
  /** By what its batches are divided, since they take far longer than by count: see dear.ts. */
  dear: f64;
  /** What it has paid too much, in ns: the next batches cost it less. */
  refund: f64;
}

export const READY_LINKS: u32 = u32(offsetof<Node>('readyKey'));
export const OWED_LINKS: u32 = u32(offsetof<Node>('owedKey'));
if (OWED_LINKS - READY_LINKS != LINKS_SIZE) ERROR('the links of a node drifted');

/** For each priority of an inner node: the heap of ready children (u32), … */
const HEAPS: u32 = u32(offsetof<Node>());
/** … and the largest virtual time at which one of them was served (f64). */
const TOPS: u32 = HEAPS + 32;
if (TOPS + 64 > NODE_SIZE) ERROR('Node is more than its record');

export function nodeAt(node: u32): Node {
  return changetype<Node>(NODES_BASE + node * NODE_SIZE);
}

export function heapOf(node: Node, priority: u32): u32 {
  return load<u32>(changetype<u32>(node) + HEAPS + (priority << 2));
}

export function setHeap(node: Node, priority: u32, root: u32): void {
  store<u32>(changetype<u32>(node) + HEAPS + (priority << 2), root);
}

export function topOf(node: Node, priority: u32): f64 {
  return load<f64>(changetype<u32>(node) + TOPS + (priority << 3));
}

export function raiseTop(node: Node, priority: u32, v: f64): void {
  const at = changetype<u32>(node) + TOPS + (priority << 3);
  if (v > load<f64>(at)) store<f64>(at, v);
}

/** What a node is promised: layout/scheduler.ts. */
@unmanaged
export class Promised {
  maxByteNs: f64;
  maxPacketNs: f64;
  burstNs: f64;
  shareByteNs: f64;
  shareTime: f64;
  weightInverse: f64;
  parent: u32;
  priority: u32;
  rxByteNs: f64;
  rxPacketNs: f64;
  rxBurstNs: f64;
  rxOverhead: u32;
}

if (offsetof<Promised>('maxByteNs') != PROMISE_MAX_BYTE_NS) ERROR('Promised.maxByteNs drifted');
if (offsetof<Promised>('maxPacketNs') != PROMISE_MAX_PACKET_NS)
  ERROR('Promised.maxPacketNs drifted');
if (offsetof<Promised>('burstNs') != PROMISE_BURST_NS) ERROR('Promised.burstNs drifted');
if (offsetof<Promised>('shareByteNs') != PROMISE_SHARE_BYTE_NS)
  ERROR('Promised.shareByteNs drifted');
if (offsetof<Promised>('shareTime') != PROMISE_SHARE_TIME) ERROR('Promised.shareTime drifted');
if (offsetof<Promised>('weightInverse') != PROMISE_WEIGHT_INVERSE) ERROR('Promised.weightInverse');
if (offsetof<Promised>('parent') != PROMISE_PARENT) ERROR('Promised.parent drifted');
if (offsetof<Promised>('priority') != PROMISE_PRIORITY) ERROR('Promised.priority drifted');

if (offsetof<Promised>('rxByteNs') != PROMISE_RX_BYTE_NS) ERROR('Promised.rxByteNs drifted');
if (offsetof<Promised>('rxPacketNs') != PROMISE_RX_PACKET_NS) ERROR('Promised.rxPacketNs drifted');
if (offsetof<Promised>('rxBurstNs') != PROMISE_RX_BURST_NS) ERROR('Promised.rxBurstNs drifted');
if (offsetof<Promised>('rxOverhead') != PROMISE_RX_OVERHEAD) ERROR('Promised.rxOverhead drifted');

export function promiseOf(node: u32): Promised {
  return changetype<Promised>(SHARED_BASE + SHARED_PROMISES + node * PROMISE_SIZE);
}

export function hasMaximum(promise: Promised): bool {
  return promise.maxByteNs != 0 || promise.maxPacketNs != 0;
}

/**
 * How long those are closed who may receive no more, or are sent nothing more because the NIC's
 * capacity is used up, given the burst, in ns: not for every single frame, and not so long that a
 * part of the maximum is lost.
 */
export function pauseOf(burstNs: f64): f64 {
  return min(burstNs, f64(STOP_NS));
}

/**
 * How long a node is stopped that has used up its maximum, in ns: the lower the rate, the longer,
 * since each visit costs as much as a dozen small frames.
 */
export function stopTimeOf(promise: Promised): f64 {
  const bytesTime = f64(STOP_BYTES) * promise.maxByteNs;
  const packetsTime = f64(STOP_PACKETS) * promise.maxPacketNs;
  const longest = min(f64(STOP_NS_MAX), promise.burstNs / 3);
  return max(pauseOf(promise.burstNs), min(max(bytesTime, packetsTime), longest));
}

/** The node above; the NIC has none, and is not asked. */
export function parentOf(promise: Promised): u32 {
  return promise.parent == 0 ? NODE_ROOT : promise.parent;
}

export function weightInverseOf(promise: Promised): f64 {
  return promise.weightInverse == 0 ? 1 : promise.weightInverse;
}

/** Where the account of a node is, with its ACCOUNT_… fields: what it has had. */
export function accountOf(node: u32): u32 {
  return SHARED_BASE + SHARED_ACCOUNTS + node * ACCOUNT_SIZE;
}
