// GRO: frames of one TCP flow that arrive in one batch for one receiver are joined into a
// super-frame, if segmenting it would give exactly the same frames again. The rules are those of
// Linux (tcp_gro_receive). Nothing waits for later batches.
//
//   list:  A1 B1 A2 A3 B2 C    ─►   A1+A2+A3  B1+B2  C     each at the place of its first frame
//
// The order within a flow is kept: a frame that cannot be joined ends the run of its flow, and a
// frame of unknown flow ends all runs.
import {
  FRAME_SIZE_MAX,
  RUN_COUNT_MAX,
  RUN_PIECES_MAX,
  SEGMENT_SIZE_MIN,
} from '../../layout/limits';
import { RUN_LINKS_BASE, TARGET_LIST_BASE } from '../../layout/memory';
import { OFFLOAD_CHECKSUM, OFFLOAD_ECN, OFFLOAD_TSO4, OFFLOAD_TSO6 } from '../../layout/virtqueue';
import { Frame, frameAt } from '../headers/frame';
import {
  dataLength,
  dataOffset,
  flagsAt,
  header,
  identificationAt,
  isAlike,
  isIntact,
  isPlain,
  isSameFlow,
  isV6,
  l3,
  l4,
  mayBegin,
  mayNotBeFragmented,
  NOT_TCP,
  NOT_UNDERSTOOD,
  readCandidate,
  TCP_CWR,
  TCP_FIN,
  TCP_PSH,
  TCP_SEQUENCE,
} from './candidate';
import { closeRun, openJoins } from './join';
import { ONE_IDENTIFICATION, ONE_MORE_EACH, Run, runAt } from './run';

/** The largest IP packet after an Ethernet header; a tag may be added. */
const JOINED_SIZE_MAX: u32 = FRAME_SIZE_MAX - 4;

let runCount: u32 = 0;
/** Pieces of memory in the runs of the batch so far, headers included. */
let pieces: u32 = 0;
/** OFFLOAD_ bits of the receiver. */
let may: u32 = 0;

/**
 * Joins frames of the list at `list` (frame numbers, u32 each) where possible. `offloads`: what the
 * receiver accepts unfinished. Writes the remaining frames to the list at TARGET_LIST_BASE and
 * returns its length.
 */
export function joinFrames(list: u32, frames: u32, offloads: u32): u32 {
  may = offloads;
  runCount = 0;
  pieces = 0;
  openJoins();
  let left: u32 = 0;
  for (let i: u32 = 0; i < frames; i++) {
    const index = load<u32>(list + (i << 2));
    if (isJoined(index)) continue;
    store<u32>(TARGET_LIST_BASE + (left << 2), index);
    left += 1;
  }
  closeAll();
  return left;
}

/** Whether the frame was joined to an earlier one. If not, it may have begun a run. */
function isJoined(index: u32): bool {
  const frame = frameAt(index);
  const kind = readCandidate(frame, index);
  if (kind == NOT_TCP) return false;
  if (kind == NOT_UNDERSTOOD) {
    closeAll();
    return false;
  }
  for (let place: u32 = 0; place < runCount; place++) {
    const run = runAt(place);
    if (!isSameFlow(run.header, run.l3, run.l4, run.isV6 != 0)) continue;
    if (continues(run, frame)) {
      join(run, index);
      if (run.isOver != 0) close(place);
      return true;
    }
    close(place);
    break;
  }
  if (takesSuperFrames() && mayBegin() && dataLength >= SEGMENT_SIZE_MIN) begin(frame, index);
  return false;
}

function takesSuperFrames(): bool {
  const needed: u32 = OFFLOAD_CHECKSUM | (isV6 ? OFFLOAD_TSO6 : OFFLOAD_TSO4);
  if ((may & needed) != needed) return false;
  return !(flagsAt(header, l4) & TCP_CWR) || (may & OFFLOAD_ECN) != 0;
}

function begin(frame: Frame, index: u32): void {
  if (runCount == RUN_COUNT_MAX) return;
  const run = runAt(runCount);
  runCount += 1;
  run.first = index;
  run.last = index;
  run.count = 1;
  run.header = header;
  run.l3 = l3;
  run.l4 = l4;
  run.isV6 = isV6 ? 1 : 0;
  run.dataOffset = dataOffset;
  run.length = frame.length;
  run.unit = dataLength;
  run.nextSequence = bswap<u32>(load<u32>(header + l4, TCP_SEQUENCE)) + dataLength;
  run.identification = 0;
  run.isIntact = 0;
  run.isOver = 0;
  run.lastFlags = 0;
}

/** Whether the current frame exactly continues a run of its flow. */
function continues(run: Run, frame: Frame): bool {
  if (!isPlain || l3 != run.l3 || l4 != run.l4 || dataOffset != run.dataOffset) return false;
  if (bswap<u32>(load<u32>(header + l4, TCP_SEQUENCE)) != run.nextSequence) return false;
  if (dataLength > run.unit || run.length + dataLength > JOINED_SIZE_MAX) return false;
  if (!isAlike(run.header)) return false;
  const step = isV6 ? ONE_MORE_EACH : identificationStep(run);
  if (step == 0) return false;
  const first = frameAt(run.first);
  const more = piecesOf(frame) + (run.count == 1 ? piecesOf(first) + 1 : 0);
  if (pieces + more > RUN_PIECES_MAX) return false;
  // The most expensive check is last. The first frame is checked once there is a second one.
  if (run.isIntact == 0 && !isIntact(first, run.header)) return false;
  run.isIntact = 1;
  if (!isIntact(frame, header)) return false;
  run.identification = step;
  pieces += more;
  return true;
}

/** How the identifications of a run continue; 0 if that of the current frame does not fit. */
function identificationStep(run: Run): u32 {
  const steps = (identificationAt(header) - identificationAt(run.header)) & 0xffff;
  if (steps == run.count && run.identification != ONE_IDENTIFICATION) return ONE_MORE_EACH;
  // If the packet may not be fragmented, the field has no meaning (RFC 6864) and may stay the same.
  const isOne = steps == 0 && mayNotBeFragmented() && run.identification != ONE_MORE_EACH;
  return isOne ? ONE_IDENTIFICATION : 0;
}

function piecesOf(frame: Frame): u32 {
  return frame.address != 0 ? 1 : frame.pieceCount;
}

function join(run: Run, index: u32): void {
  store<u32>(RUN_LINKS_BASE + (run.last << 2), index);
  run.last = index;
  run.count += 1;
  run.length += dataLength;
  run.nextSequence += dataLength;
  run.lastFlags = flagsAt(header, l4) & (TCP_FIN | TCP_PSH);
  // A shorter frame, or one with FIN or PSH, is the last of its run.
  run.isOver = dataLength < run.unit || run.lastFlags != 0 ? 1 : 0;
}

/** Ends a run; the last one of the table moves to its place. */
function close(place: u32): void {
  closeRun(runAt(place));
  runCount -= 1;
  if (place != runCount) runAt(place).takeFrom(runAt(runCount));
}

function closeAll(): void {
  for (let place: u32 = 0; place < runCount; place++) closeRun(runAt(place));
  runCount = 0;
}
