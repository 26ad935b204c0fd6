// Counts frames that were joined to others (GRO): each shares the result of the frame that it is
// part of.
import { COUNTER_GRO_MERGED, COUNTER_OFFERED, DROP_RING_STOPPED } from '../../layout/counters';
import { count, countDrop } from '../counters/counters';
import { batch } from '../headers/batch';
import { Frame } from '../headers/frame';
import { segmentCount } from '../offload/metadata';
import { EMIT_DROPPED, EMITTED } from './emit';

/** A joined frame was delivered, whole or in segments, or dropped: `result` is that of `emit`. */
export function settleJoined(ringNumber: u32, frame: Frame, result: i32): void {
  const others = segmentCount(frame) - 1;
  batch().joinedLeft -= others;
  count(ringNumber, COUNTER_OFFERED, others);
  if (result == EMITTED) count(ringNumber, COUNTER_GRO_MERGED, others);
  else countDrop(ringNumber, u32(EMIT_DROPPED - result), others);
}

/** The ring has stopped: the remaining joined frames are dropped. */
export function abandonJoined(ringNumber: u32): void {
  const left = batch().joinedLeft;
  if (left == 0) return;
  count(ringNumber, COUNTER_OFFERED, left);
  countDrop(ringNumber, DROP_RING_STOPPED, left);
  batch().joinedLeft = 0;
}
