// GRO: frames of one TCP flow that come in one batch for one receiver are
// joined into a super-frame, if segmentation would make the same frames of it again, byte by byte.
// The rules are those of Linux (tcp_gro_receive). Nothing waits: what the batch does not have is
// not joined.
//
//   list:  A1 B1 A2 A3 B2 C    ─►   A1+A2+A3  B1+B2  C     each at the place of its first frame
//
// Within a flow the order holds: a frame that cannot be joined ends the run of its flow, and one
// whose flow cannot be told ends all.
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

/** An IP packet of the largest size, behind an Ethernet header; a tag may come on top. */
const JOINED_SIZE_MAX: u32 = FRAME_SIZE_MAX - 4;

let runCount: u32 = 0;
/** Pieces of memory that the runs of the batch consist of so far, headers included. */
let pieces: u32 = 0;
/** OFFLOAD_ bits of the receiver. */
let may: u32 = 0;

/**
 * Joins what belongs together of the frames whose numbers stand at `list` (u32 each). `offloads`:
 * what the receiver takes undone. Writes the list of what is left to TARGET_LIST_BASE, and returns
 * its length.
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

/** Whether a frame was joined to one before it. Else it may have begun a run. */
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

/** Whether the frame in hand goes on where a run of its flow ends, in everything. */
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
  // Last what costs most. The first frame is looked at once there is a second.
  if (run.isIntact == 0 && !isIntact(first, run.header)) return false;
  run.isIntact = 1;
  if (!isIntact(frame, header)) return false;
  run.identification = step;
  pieces += more;
  return true;
}

/** How the identifications of a run go on; 0 if that of the frame in hand does not. */
function identificationStep(run: Run): u32 {
  const steps = (identificationAt(header) - identificationAt(run.header)) & 0xffff;
  if (steps == run.count && run.identification != ONE_IDENTIFICATION) return ONE_MORE_EACH;
  // It says nothing of a packet that may not be fragmented (RFC 6864), and so need not change.
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
  // What is shorter, or says that something ends, is the last.
  run.isOver = dataLength < run.unit || run.lastFlags != 0 ? 1 : 0;
}

/** The place of a run that is over is taken by the last one. */
function close(place: u32): void {
  closeRun(runAt(place));
  runCount -= 1;
  if (place != runCount) runAt(place).takeFrom(runAt(runCount));
}

function closeAll(): void {
  for (let place: u32 = 0; place < runCount; place++) closeRun(runAt(place));
  runCount = 0;
}
