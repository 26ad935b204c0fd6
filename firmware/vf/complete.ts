// Hands transmitted buffers back to their guest, in order, and settles what became of the frames.
import {
  COUNTER_BYTES,
  COUNTER_DROPS,
  COUNTER_FORWARDED,
  COUNTER_INTERRUPTS,
  COUNTER_PACKETS,
  COUNTER_REPLICAS,
} from '../../layout/counters';
import { DIRTY_LIST_BASE, SIGNAL_LIST_BASE } from '../../layout/memory';
import { RING_STOPPED } from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { control } from '../memory/control';
import { lock, unlock } from '../virtqueue/lock';
import { wantsInterrupt } from '../virtqueue/notification';
import { publishUsed, putUsed } from '../virtqueue/queue';
import { ringAt, viewAt } from '../virtqueue/ring';
import { frameAt, TARGET_DROP, TARGET_FLOOD } from '../wire/frame';
import { markDirty } from './dirty';

/** Completes the batch: `replicas` are the further copies that flooding made. */
export function complete(ringNumber: u32, frames: u32, replicas: u32): void {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  control().currentRing = ringNumber;
  let forwarded: u32 = 0;
  let bytes: u32 = 0;
  let slots: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const frame = frameAt(i);
    // 2.7.8.2: nothing was written into a read-only buffer
    putUsed(view, ring, slots, frame.head, 0);
    slots += frame.slots;
    bytes += frame.length;
    if (frame.target >= TARGET_DROP && frame.target != TARGET_FLOOD) {
      count(ringNumber, COUNTER_DROPS + frame.target - TARGET_DROP, 1);
    } else forwarded += 1;
  }
  // `packets` first: whoever reads meanwhile sees more received than settled, never less.
  count(ringNumber, COUNTER_PACKETS, frames);
  count(ringNumber, COUNTER_BYTES, bytes);
  count(ringNumber, COUNTER_FORWARDED, forwarded);
  count(ringNumber, COUNTER_REPLICAS, replicas);
  publishUsed(view, ring, slots);
  markDirty(ringNumber, view);
}

/** The end of a turn: lists the rings whose drivers want an interrupt. True if there are any. */
export function listInterrupts(): bool {
  const words = control();
  for (let i: u32 = 0; i < words.dirtyCount; i++) {
    const ringNumber = load<u32>(DIRTY_LIST_BASE + (i << 2));
    const view = viewAt(ringNumber);
    const ring = ringAt(ringNumber);
    view.dirty = 0;
    if (view.state == RING_STOPPED) continue;
    words.currentRing = ringNumber;
    lock(ring);
    if (wantsInterrupt(view, ring)) {
      store<u32>(SIGNAL_LIST_BASE + (words.signalCount << 2), ringNumber);
      words.signalCount += 1;
      count(ringNumber, COUNTER_INTERRUPTS, 1);
    }
    unlock(ring);
  }
  words.dirtyCount = 0;
  return words.signalCount != 0;
}
