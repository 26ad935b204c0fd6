// Returns transmitted buffers to their guest in order, and counts what happened to the frames.
import {
  COUNTER_BYTES,
  COUNTER_DROPS,
  COUNTER_FORWARDED,
  COUNTER_INTERRUPTS,
  COUNTER_PACKETS,
  COUNTER_REPLICAS,
} from '../../layout/counters';
import { INTERRUPT_DUE_LIST_BASE, SIGNAL_LIST_BASE } from '../../layout/memory';
import { INTERRUPT_RECEIVERS } from '../../layout/processor';
import { RING_KIND_TRANSMIT, RING_STOPPED } from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { frameAt, TARGET_DROP, TARGET_FLOOD } from '../headers/frame';
import { registers } from '../memory/registers';
import { writeUsedElement } from '../memory/write';
import { isDeferred } from '../virtqueue/defer';
import { isStopped, lock, unlock } from '../virtqueue/lock';
import { wantsInterrupt } from '../virtqueue/notification';
import { isPacked, publishUsed, putUsed } from '../virtqueue/queue';
import { Ring, RingView, ringAt, viewAt } from '../virtqueue/ring';
import { markInterruptDue } from './interrupt-due';

/**
 * Completes the batch. `bytes`: the sum over its frames. `replicas`: further copies made by
 * flooding. `isUniform`: every frame went to one receive ring, so none was dropped here.
 */
export function complete(
  ringNumber: u32,
  frames: u32,
  bytes: u32,
  replicas: i32,
  isUniform: bool,
): void {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber;
  const slots = isPacked(ring)
    ? putFramesPacked(view, ring, frames)
    : putFrames(view, ring, frames);
  // `packets` first: a concurrent reader may see more frames received than settled, never fewer.
  count(ringNumber, COUNTER_PACKETS, frames);
  count(ringNumber, COUNTER_BYTES, bytes);
  const dropped = isUniform ? 0 : countDrops(ringNumber, frames);
  count(ringNumber, COUNTER_FORWARDED, frames - dropped);
  if (replicas != 0) count(ringNumber, COUNTER_REPLICAS, u64(i64(replicas)));
  publishUsed(view, ring, slots);
  registers().sentBytes += bytes;
  markInterruptDue(ringNumber, view);
}

/** 2.7.8.2: nothing was written into a read-only buffer, so each used length is 0. */
function putFrames(view: RingView, ring: Ring, frames: u32): u32 {
  const mask = ring.size - 1;
  const index = ring.usedIndex;
  const used = view.used;
  for (let i: u32 = 0; i < frames; i++) {
    writeUsedElement(used, (index + i) & mask, frameAt(i).head, 0);
  }
  return frames;
}

function putFramesPacked(view: RingView, ring: Ring, frames: u32): u32 {
  let slots: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    putUsed(view, ring, slots, frame.head, 0);
    slots += frame.slots;
  }
  return slots;
}

function countDrops(ringNumber: u32, frames: u32): u32 {
  let dropped: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const target = frameAt(i).target;
    if (target < TARGET_DROP || target == TARGET_FLOOD) continue;
    count(ringNumber, COUNTER_DROPS + target - TARGET_DROP, 1);
    dropped += 1;
  }
  return dropped;
}

/**
 * At the end of a turn: lists the rings whose drivers want an interrupt. True if there are any. A
 * ring whose interrupt is deferred stays in the list of due ones for the next turn; so do transmit
 * rings if `whom` is INTERRUPT_RECEIVERS instead of INTERRUPT_ALL.
 */
export function listInterrupts(whom: u32): bool {
  const words = registers();
  let deferred: u32 = 0;
  for (let i: u32 = 0; i < words.interruptDueCount; i++) {
    const ringNumber = load<u32>(INTERRUPT_DUE_LIST_BASE + (i << 2));
    const view = viewAt(ringNumber);
    if (whom == INTERRUPT_RECEIVERS && view.kind == RING_KIND_TRANSMIT) {
      store<u32>(INTERRUPT_DUE_LIST_BASE + (deferred << 2), ringNumber);
      deferred += 1;
      continue;
    }
    const ring = ringAt(ringNumber);
    if (view.state == RING_STOPPED) {
      view.interruptDue = 0;
      continue;
    }
    words.currentRing = ringNumber;
    const isOurs = lock(ring);
    const isStill = isOurs && isStopped(ring);
    if (!isOurs || (!isStill && ring.deferPackets != 0 && isDeferred(ringNumber, ring))) {
      store<u32>(INTERRUPT_DUE_LIST_BASE + (deferred << 2), ringNumber);
      deferred += 1;
      if (isOurs) unlock(ring);
      continue;
    }
    view.interruptDue = 0;
    if (!isStill && wantsInterrupt(view, ring)) {
      store<u32>(SIGNAL_LIST_BASE + (words.signalCount << 2), ringNumber);
      words.signalCount += 1;
      count(ringNumber, COUNTER_INTERRUPTS, 1);
    }
    unlock(ring);
  }
  words.interruptDueCount = deferred;
  return words.signalCount != 0;
}
