// The batch: what a processor has taken from one transmit ring, and how far it has got. When a
// window, a lock or a driver keeps it waiting, the turn ends, and the next turn resumes from this
// record alone. State that is not here lasts only for the call that set it.
//
//   state            work                              kept during a wait              then
//   ───────────────  ────────────────────────────────  ──────────────────────────────  ──────────
//   BATCH_NONE       nothing: a turn inhales first     –                               TARGETS
//   BATCH_TARGETS    delivery target by target         targetRing, targetDone          FLOOD
//   BATCH_FLOOD      flooded frames, port by port      floodPort, floodFrame,          DELIVERED
//                                                      floodRing
//   BATCH_DELIVERED  completion, once all lent         –                               NONE
//                    frames have been sent
//
// In the two delivery states, `partSegment` may also say that a super-frame is half delivered. It
// continues with that segment, on that ring, using the header fields that were read before.
//
// So module variables may be lost while a batch waits; a test does that.
import { WALK_STEPS_PER_BATCH } from '../../layout/limits';
import { BATCH_BASE, BATCH_RECORD_SIZE } from '../../layout/memory';

export const BATCH_NONE: u32 = 0;
export const BATCH_TARGETS: u32 = 1;
export const BATCH_FLOOD: u32 = 2;
export const BATCH_DELIVERED: u32 = 3;

/** Instead of a ring number: none. */
export const NO_RING: u32 = 0xffffffff;

@unmanaged
export class Batch {
  state: u32;
  /** What it waits for: TURN_MISSED, TURN_LOCKED or TURN_LENT. */
  waitsFor: u32;
  ring: u32;
  frames: u32;
  bytes: u32;
  /** The length of its longest frame. */
  longest: u32;
  /** Its bytes and packets as they would be on a wire: super-frames in segments. */
  wireBytes: u32;
  wirePackets: u32;

  // Inhale.
  /** Pieces of memory that its frames are in. */
  pieces: u32;
  /** It ended early because of a missing window, … */
  hasMissed: bool;
  /** … or because an address of the next frame has no translation yet. */
  isUntranslated: bool;
  /** It leaves frames in its ring. */
  hasBacklog: bool;
  isInVlans: bool;
  /** It ended early because the pages of the next frame take long: see net/fault-in. */
  hasPageWait: bool;
  /** Until when it may access pages, … */
  faultInUntil: f64;
  /** … how many between two looks at the clock, and how many before the next one. */
  lookInterval: u32;
  pagesToLook: u32;

  // Delivery target by target.
  /** How many frames a target gets before it is notified. */
  stepFrames: u32;
  targetRing: u32;
  targetList: u32;
  targetCount: u32;
  targetDone: u32;
  /** The first frame that may be for another target. */
  nextFrame: u32;
  /** For the current target: frames joined to others and not yet delivered or dropped. */
  joinedLeft: u32;
  /** All frames go to one receive ring. */
  isUniform: bool;
  /** The last delivery waits because another processor holds the ring's lock. */
  isLockedOut: bool;

  // Flooded frames.
  /** It is one frame that earlier batches have delivered to some of the ports. */
  isFloodResumed: bool;
  /** It is one frame, so it may stop between two ports. */
  isAlone: bool;
  /** It has stopped there: the frame stays in its ring, and a later batch continues. */
  isFloodCut: bool;
  floodCount: u32;
  floodPort: u32;
  floodFrame: u32;
  /** Copies of its frames in addition to the frames themselves. −1: see `resumeFlood`. */
  floodReplicas: i32;
  /**
   * The receive ring of the flooded frame that waits for a window. The decision for it stands, even
   * if the port has changed in the meantime: it may be half delivered.
   */
  floodRing: u32;

  // A super-frame that is half delivered: the next segment, the ring, and the frame. Another frame
  // must not use these offsets, which were checked only for this one.
  partSegment: u32;
  partRing: u32;
  partFrame: u32;
  // What changes from segment to segment, read once: see offload/segment.
  /** Bytes of data in each segment but the last. */
  partUnit: u32;
  partIdentifier: u32;
  partSequence: u32;
  partTcpFlags: u32;
  /** For a datagram that is fragmented: the identification of its fragments, … */
  partFragmentId: u32;
  /** … and its finished checksum. */
  partDatagramChecksum: u32;
  /** The sum of the pseudo-header without the length. */
  partPseudoSum: u64;

  // What it costs.
  /** Frames written to receive rings, including segments, and their bytes. */
  copies: u32;
  copiedBytes: u32;
  /** Frames lent since the last `takeLent`. */
  lentFrames: u32;
  /** Descriptors read, and how many more all deliveries may read: see virtqueue/walk-budget. */
  walkedSteps: u32;
  sharedSteps: u32;
  /** Misses of one receive ring, in a row and in total: see net/misses. */
  missRing: u32;
  missStreak: u32;
  missTotal: u32;
  /** Of all receive rings. */
  misses: u32;
  /** The stamp of the windows that its frames are in: see memory/windows. */
  sourceStamp: u32;
}

if (offsetof<Batch>() > BATCH_RECORD_SIZE) ERROR('Batch is more than its record');

export function batch(): Batch {
  return changetype<Batch>(BATCH_BASE);
}

/** Clears the record before frames are taken from a ring. */
export function openBatch(ring: u32): void {
  for (let at: u32 = 0; at < BATCH_RECORD_SIZE; at += 16) {
    v128.store(BATCH_BASE + at, i64x2.splat(0));
  }
  batch().ring = ring;
  batch().sharedSteps = WALK_STEPS_PER_BATCH;
  batch().floodRing = NO_RING;
  batch().missRing = NO_RING;
}
