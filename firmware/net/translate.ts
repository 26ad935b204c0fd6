// Offload translation per receiver. A frame keeps the offloads that its sender requested for as
// long as the receiver accepts them; the others are completed here (docs/offloads.md has the
// table).
//
//   receiver accepts it ─► as it is, under its own virtio-net header
//   checksum missing    ─► completed        super-frame ─► segmented, each segment finished
//   DHCP reply          ─► completed always: DHCP clients read it through packet sockets
import {
  COUNTER_CHECKSUMS,
  COUNTER_OFFERED,
  COUNTER_SEGMENTS,
  DROP_BUFFER_TOO_SMALL,
  DROP_MTU,
} from '../../layout/counters';
import { SEGMENT_SCRATCH_BASE } from '../../layout/memory';
import { NET_HEADER_GSO_ECN } from '../../layout/virtio';
import { OFFLOAD_CHECKSUM, OFFLOAD_ECN } from '../../layout/virtqueue';
import { count, countDrop } from '../counters/counters';
import { batch } from '../headers/batch';
import { Frame, OFFLOAD_LONG, OFFLOAD_TUNNEL } from '../headers/frame';
import { OFFLOAD_TAG } from '../headers/tags';
import { isDhcpReply } from '../offload/dhcp';
import { gsoTypeOf, isChecksumUndone, segmentCount } from '../offload/metadata';
import {
  isSuperFrame,
  makeChecksummed,
  makeSegment,
  openSegments,
  segmentHeaders,
  segmentLength,
  segmentOffset,
} from '../offload/segment';
import { Ring, RingView } from '../virtqueue/ring';
import { extendWalk, openDeliveryWalk } from '../virtqueue/walk-budget';
import { EMIT_DROPPED, EMIT_FAULTED, EMIT_MISSED, EMITTED, emit } from './emit';
import { exceedsMtu } from './mtu';
import {
  closeTag,
  isRetagging,
  makeTagged,
  openTag,
  putTag,
  retagMetadata,
  tagEnd,
  tagGrowth,
} from './retag';

/** Delivers one frame in the form that the ring's guest accepts. Returns what `emit` returns. */
export function deliverTranslated(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  openDeliveryWalk();
  frame.offload &= ~OFFLOAD_LONG; // it only kept the frame off the fast path
  if (!(frame.offload & OFFLOAD_TAG)) return deliverOne(ringNumber, view, ring, frame);
  openTag(frame);
  const result = deliverOne(ringNumber, view, ring, frame);
  closeTag();
  return result;
}

function deliverOne(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  if (!isResumed(ringNumber, frame)) batch().partSegment = 0;
  if (batch().partSegment == 0) {
    if (exceedsMtu(ring, frame)) return EMIT_DROPPED - i32(DROP_MTU);
    const result = deliverWhole(ringNumber, view, ring, frame);
    // A guest that accepts super-frames may have posted buffers too small for this one.
    const isTooSmall = result == EMIT_DROPPED - i32(DROP_BUFFER_TOO_SMALL);
    if (!isTooSmall || !isSuperFrame(frame)) return result;
  }
  return deliverSegments(ringNumber, view, ring, frame);
}

/** Whether a super-frame was delivered to this ring in part. */
export function isPartDone(): bool {
  return batch().partSegment != 0;
}

function isResumed(ringNumber: u32, frame: Frame): bool {
  return batch().partRing == ringNumber && batch().partFrame == changetype<u32>(frame);
}

function deliverWhole(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  if (accepts(ring.offloads, frame) && !isDhcpReply(frame)) {
    const isFinished = frame.offload == 0;
    const metadata = isFinished ? 0 : frame.metadata & KNOWN_METADATA;
    const offset = isFinished ? 0 : frame.checksumOffset;
    if (isRetagging) return emitTagged(ringNumber, view, ring, frame, metadata, offset);
    return emit(ringNumber, view, ring, frame, 0, 0, 0, frame.length, metadata, offset);
  }
  if (isSuperFrame(frame)) return EMIT_DROPPED - i32(DROP_BUFFER_TOO_SMALL);
  makeChecksummed(frame);
  const result = emitMade(ringNumber, view, ring, frame);
  if (result == EMITTED) count(ringNumber, COUNTER_CHECKSUMS, 1);
  return result;
}

/** All fields, but only the one flag that we know. */
const KNOWN_METADATA: u64 = ~0xfe;

function accepts(may: u32, frame: Frame): bool {
  if (frame.offload == 0) return true;
  if (frame.offload & OFFLOAD_TUNNEL) return false;
  if (!(may & frame.offload)) return false;
  const isEcn = (gsoTypeOf(frame.metadata) & NET_HEADER_GSO_ECN) != 0;
  if (isEcn && !(may & OFFLOAD_ECN)) return false;
  return !isChecksumUndone(frame) || (may & OFFLOAD_CHECKSUM) != 0;
}

function deliverSegments(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  if (batch().partSegment == 0) openSegments(frame);
  const segments = segmentCount(frame);
  for (let index = batch().partSegment; index < segments; index++) {
    makeSegment(frame, index, segments);
    extendWalk();
    const result = emitMade(ringNumber, view, ring, frame);
    if (result == EMIT_MISSED) {
      batch().partSegment = index; // 0 decides again, with the same result
      batch().partRing = ringNumber;
      batch().partFrame = changetype<u32>(frame);
      return result;
    }
    if (result == EMIT_FAULTED) {
      batch().partSegment = 0;
      if (index > 0) countSegments(ringNumber, 1); // the caller counts it as dropped
      return result;
    }
    if (result != EMITTED) return abandon(ringNumber, index, segments, result);
    // The caller counts the frame once. Each segment after the first is counted here.
    if (index > 0) countSegments(ringNumber, 1);
  }
  batch().partSegment = 0;
  return EMITTED;
}

/**
 * Drops all segments from `index` on for the same reason: after a full ring, the next ones would
 * fail as well.
 */
function abandon(ringNumber: u32, index: u32, segments: u32, result: i32): i32 {
  batch().partSegment = 0;
  const lost = index == 0 ? segments - 1 : segments - index;
  countSegments(ringNumber, lost);
  countDrop(ringNumber, u32(EMIT_DROPPED - result), lost);
  // The first segment counts as the frame: either delivered already, or dropped by the caller.
  return index == 0 ? result : EMITTED;
}

/**
 * The ring stopped while a partly segmented super-frame waited for a window. The caller counts the
 * frame as dropped, although its first segment was delivered: so one segment more is counted.
 */
export function forgetResumed(ringNumber: u32): void {
  if (batch().partSegment == 0) return;
  batch().partSegment = 0;
  countSegments(ringNumber, 1);
}

function countSegments(ringNumber: u32, segments: u32): void {
  count(ringNumber, COUNTER_OFFERED, segments);
  count(ringNumber, COUNTER_SEGMENTS, segments);
}

function emitTagged(
  ringNumber: u32,
  view: RingView,
  ring: Ring,
  frame: Frame,
  metadata: u64,
  checksumOffset: u32,
): i32 {
  return emit(
    ringNumber,
    view,
    ring,
    frame,
    makeTagged(frame),
    tagEnd + tagGrowth,
    tagEnd,
    frame.length - tagEnd,
    retagMetadata(metadata),
    checksumOffset,
  );
}

function emitMade(ringNumber: u32, view: RingView, ring: Ring, frame: Frame): i32 {
  return emit(
    ringNumber,
    view,
    ring,
    frame,
    isRetagging ? putTag() : SEGMENT_SCRATCH_BASE,
    isRetagging ? segmentHeaders + tagGrowth : segmentHeaders,
    segmentOffset,
    segmentLength,
    0,
    0,
  );
}
