// Inhale: takes a batch of frames from a transmit ring, without copying them.
//
// The loops are split so that cache misses overlap: first ring and descriptors (take-split,
// take-packed), then the headers of the frames. A frame that needs a window ends the batch before
// it, and stays in the guest.
import { COUNTER_PAGE_WAITS, COUNTER_WINDOW_MISSES } from '../../layout/counters';
import { count } from '../counters/counters';
import { noteAddresses } from '../headers/addresses';
import { batch, openBatch } from '../headers/batch';
import { frameAt } from '../headers/frame';
import { registers } from '../memory/registers';
import { readMetadata, repeatedBytes } from '../offload/metadata';
import { schedule } from '../scheduler/schedule';
import { isPacked } from '../virtqueue/queue';
import { RingView, ringAt, viewAt } from '../virtqueue/ring';
import { takePacked } from './take-packed';
import { takeSplit } from './take-split';

/** Takes up to BATCH_MAX frames and checks their headers; `target` is 0 or TARGET_DROP + reason. */
export function inhale(ringNumber: u32): u32 {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber; // before the first access that could trap
  openBatch(ringNumber);
  const reached = isPacked(ring)
    ? takePacked(ringNumber, view, ring)
    : takeSplit(ringNumber, view, ring);
  const headerSize = ring.headerSize;
  const offloads = ring.offloads;
  let bytes: u32 = 0;
  let longest: u32 = 0;
  let segments: u32 = 0;
  let wireBytes: u32 = 0;
  let wirePackets: u32 = 0;
  let taken: u32 = 0;
  // Tens of thousands of tiny segments would delay all other rings, and a maximum may be used up:
  // the rest stays in the guest.
  const budget = schedule();
  const bytesMax = budget.batchBytes;
  const segmentsMax = budget.batchSegments;
  while (taken < reached && segments < segmentsMax && bytes + wireBytes < bytesMax) {
    const frame = frameAt(taken);
    if (frame.target == 0) {
      const parts = readMetadata(frame, headerSize, offloads);
      if (parts > 1) {
        segments += parts;
        wireBytes += repeatedBytes(frame, parts);
        wirePackets += parts - 1;
      }
      noteAddresses(taken, frame.header);
    }
    bytes += frame.length;
    longest = max(longest, frame.length);
    taken += 1;
  }
  if (taken < reached) batch().hasBacklog = true;
  batch().frames = taken;
  batch().bytes = bytes;
  batch().wireBytes = bytes + wireBytes;
  batch().wirePackets = taken + wirePackets;
  batch().longest = longest;
  noteEnd(ringNumber, view, taken);
  return taken;
}

/** Counts what ended the batch early, and how often it has done so with the same first frame. */
function noteEnd(ringNumber: u32, view: RingView, taken: u32): void {
  const hasMissed = batch().hasMissed;
  const hasPageWait = batch().hasPageWait;
  if (hasMissed) {
    count(ringNumber, COUNTER_WINDOW_MISSES, 1);
    registers().missRing = ringNumber;
  }
  if (hasPageWait) count(ringNumber, COUNTER_PAGE_WAITS, 1);
  const isStuck = taken == 0 && (hasMissed || hasPageWait);
  view.missStreak = isStuck ? view.missStreak + u16(hasMissed) : 0;
  view.pageWaitStreak = isStuck ? view.pageWaitStreak + u16(hasPageWait) : 0;
}
