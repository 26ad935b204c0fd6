// What the schedule of this processor remembers between two calls of the firmware.
import { SCHEDULE_BASE, SCHEDULE_SIZE } from '../../layout/memory';

@unmanaged
export class Schedule {
  /** Nanoseconds of the monotonic clock, as of the last look at it. */
  clock: f64;
  /** The work since this time shares the next look, … */
  stamp: f64;
  /** … of which so much was charged already, … */
  charged: f64;
  /** … for work that should take so long, … */
  counted: f64;
  /** … but lately took this many times as long. */
  rate: f64;
  /** How much longer than by count a flood took lately: 0: not at all, 1: twice as long. */
  floodExcess: f64;
  /** When this batch began, if it is measured for itself; else 0. */
  batchBegan: f64;
  /** Work since some idle functions were looked at, in this turn and earlier ones. */
  unswept: f64;
  /** Until when batches stay short. */
  shortUntil: f64;
  /** ns for which this thread lost its CPU, in all, and when it did so last. */
  lost: f64;
  lostSince: f64;
  lostUntil: f64;
  /** Nanoseconds of work in this turn. */
  turnWork: f64;
  /** When the first ring goes on that waits for a receiver; 0: none waits. */
  nextWait: f64;
  /** When the first pause between two looks at a function ends; 0: there is none. */
  pauseEnd: f64;
  /** When rings that wait were last asked whether they may go on. */
  lastRound: f64;
  /** The list of them, as ring + 1, how many they are, and how often they have been asked. */
  firstWait: u32;
  waiting: u32;
  waitRound: u32;
  /** Until when the capacity of the NIC is used up. */
  heldUntil: f64;
  /** When the thread's CPU time was looked at last, and its lower 32 bits then: `cpuLow`. */
  cpuSince: f64;
  /** Since when the host has worked for a function. */
  hostSince: f64;
  clockLow: u32;
  cpuLow: u32;
  /** The root of the heap of stopped nodes, by the time at which they go on. */
  timers: u32;
  idleCount: u32;
  /** The place in the list of idle functions that is looked at next. */
  idlePlace: u32;
  /** The ring that is being served, and its function. */
  ring: u32;
  leaf: u32;
  /** Who had the last batch, plus 1: the end of its turn is not charged yet. 0: it is. */
  restOf: u32;
  /** What its next batch may have: frames, pieces, and the shift from a length to pieces. */
  batchFrames: u32;
  batchPieces: u32;
  batchShift: u32;
  /** And bytes and segments on the wire; the last frame may go beyond. */
  batchBytes: u32;
  batchSegments: u32;
  /** How many batches wait for the next look at the clock. */
  shares: u32;
  /** Counts batches with flooded frames. */
  floods: u32;
  /** The window that its function lacked is being mapped. */
  isMapping: bool;
  /** Since the last sleep, somebody worked whom no maximum can stop. */
  hasFreeWork: bool;
  /** All idle functions were looked at in this turn: who has nothing to take is not asked again. */
  hasSwept: bool;
  /** Counts batches, for what each has for a receiver already. */
  admission: u32;
  /** How many nodes are on the path from the NIC to the function, … */
  depth: u32;
  /** … which of them were chosen for a guarantee, or against priority: one bit each, … */
  owed: u32;
  spared: u32;
  /** … and which they are. GROUP_DEPTH_MAX groups and the function. */
  path0: u32;
  path1: u32;
  path2: u32;
  path3: u32;
  path4: u32;
}

if (offsetof<Schedule>() > SCHEDULE_SIZE) ERROR('Schedule is more than its record');

const PATH = SCHEDULE_BASE + u32(offsetof<Schedule>('path0'));

export function schedule(): Schedule {
  return changetype<Schedule>(SCHEDULE_BASE);
}

/** The node of the path on level `depth` below the NIC. */
export function pathAt(depth: u32): u32 {
  return load<u32>(PATH + (depth << 2));
}

/** Whether the function was chosen for its guarantee. */
export function isForGuarantee(): bool {
  const state = schedule();
  return state.depth != 0 && ((state.owed >> (state.depth - 1)) & 1) != 0;
}

export function setPath(depth: u32, node: u32): void {
  store<u32>(PATH + (depth << 2), node);
}
