// The batch: what a processor has taken from one transmit ring, and how far it has come with that.
// Where a window, a lock or a driver keeps it waiting, the turn ends and this record is all that is
// known when the next one begins. What is not here lasts no longer than the call that set it.
//
//   state            what goes on                      a wait keeps                    then
//   ───────────────  ────────────────────────────────  ──────────────────────────────  ──────────
//   BATCH_NONE       nothing: a turn inhales first     –                               TARGETS
//   BATCH_TARGETS    delivery target by target         targetRing, targetDone          FLOOD
//   BATCH_FLOOD      what is for everybody, by port    floodPort, floodFrame,          DELIVERED
//                                                      floodRing
//   BATCH_DELIVERED  completion, when all that was     –                               NONE
//                    lent has been sent
//
// In the two states of delivery `partSegment` may say in addition that a super-frame is half
// delivered: it goes on with that segment, on that ring, with what was read of its headers before.
//
// So the variables of the modules may all be forgotten while a batch waits: a test does that.
import { WALK_STEPS_PER_BATCH } from '../../layout/limits';
import { BATCH_BASE, BATCH_RECORD_SIZE } from '../../layout/memory';

export const BATCH_NONE: u32 = 0;
export const BATCH_TARGETS: u32 = 1;
export const BATCH_FLOOD: u32 = 2;
export const BATCH_DELIVERED: u32 = 3;

/** In place of the number of a ring: none. */
export const NO_RING: u32 = 0xffffffff;

@unmanaged
export class Batch {
  state: u32;
  /** What it waits for: TURN_MISSED, TURN_LOCKED or TURN_LENT. */
  waitsFor: u32;
  ring: u32;
  frames: u32;
  bytes: u32;

  // Inhale.
  /** Pieces of memory that its frames lie in. */
  pieces: u32;
  /** It ended early because of a missing window, … */
  hasMissed: bool;
  /** … or because an address of the next frame waits for its translation. */
  isUntranslated: bool;
  /** It leaves frames in its ring. */
  hasBacklog: bool;
  isInVlans: bool;

  // Delivery target by target.
  /** As many frames a target gets before it hears of them. */
  stepFrames: u32;
  targetRing: u32;
  targetList: u32;
  targetCount: u32;
  targetDone: u32;
  /** The first frame that may be for another target. */
  nextFrame: u32;
  /** Of the target in hand: frames joined to others that were neither delivered nor dropped yet. */
  joinedLeft: u32;
  /** All frames go to one receive ring. */
  isUniform: bool;
  /** The last delivery waits because another processor holds the ring. */
  isLockedOut: bool;

  // What is for everybody.
  /** It is one frame, which some of the ports have got in batches before. */
  isFloodResumed: bool;
  /** It is one frame: it may stop between two ports. */
  isAlone: bool;
  /** It has stopped there: it stays in its ring, and a later batch goes on. */
  isFloodCut: bool;
  floodCount: u32;
  floodPort: u32;
  floodFrame: u32;
  /** Copies that its frames became beyond themselves. −1: see `resumeFlood`. */
  floodReplicas: i32;
  /**
   * The receive ring of the flooded frame that waits for a window. What was decided for it holds,
   * whatever the port has become meanwhile: it may be half delivered.
   */
  floodRing: u32;

  // A super-frame that is half delivered: the next segment, and of which frame on which ring.
  // Another frame would be read at offsets that were checked for this one.
  partSegment: u32;
  partRing: u32;
  partFrame: u32;
  // What changes from segment to segment, read once: see offload/segment.
  /** Bytes of data in each segment but the last. */
  partUnit: u32;
  partIdentifier: u32;
  partSequence: u32;
  partTcpFlags: u32;
  /** Of a datagram that is fragmented: the identification of its fragments, … */
  partFragmentId: u32;
  /** … and its finished checksum. */
  partDatagramChecksum: u32;
  /** The pseudo-header's sum but for the length. */
  partPseudoSum: u64;

  // What it costs.
  /** Frames that receive rings got, segments among them, and their bytes. */
  copies: u32;
  copiedBytes: u32;
  /** Frames that were lent since it was last asked. */
  lentFrames: u32;
  /** Descriptors read, and how many more all its deliveries may read: see virtqueue/walk-budget. */
  walkedSteps: u32;
  sharedSteps: u32;
  /** Misses of one receive ring, in a row and in all: see net/misses. */
  missRing: u32;
  missStreak: u32;
  missTotal: u32;
  /** The stamp of the windows that its frames lie in: see memory/windows. */
  sourceStamp: u32;
}

if (offsetof<Batch>() > BATCH_RECORD_SIZE) ERROR('Batch is more than its record');

export function batch(): Batch {
  return changetype<Batch>(BATCH_BASE);
}

/** Before frames are taken from a ring: a new batch, of which nothing is known. */
export function openBatch(ring: u32): void {
  for (let at: u32 = 0; at < BATCH_RECORD_SIZE; at += 16) {
    v128.store(BATCH_BASE + at, i64x2.splat(0));
  }
  batch().ring = ring;
  batch().sharedSteps = WALK_STEPS_PER_BATCH;
  batch().floodRing = NO_RING;
  batch().missRing = NO_RING;
}
