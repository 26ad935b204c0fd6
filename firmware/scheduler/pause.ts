// Pauses between two looks at a function that sends steadily. A processor that is faster than its
// guests would look again after every few frames, and each look takes the ring's cache lines from
// the driver's core, which makes the guest slower still.
//
//   frames   ··· ·· ··· ·· ··· ·· ···      ·                ·                ·
//   looks             ▲        ▲           ▲ ▲ ▲ ▲ ▲ ▲ ▲ ▲ ▲▲ ▲ ▲ ▲ ▲ ▲ ▲ ▲ ▲▲ ▲ ▲
//            └─ pause ┘└ pause ┘           one at a time: never a pause
//
// Only those pause whose frames come so quickly that PAUSE_FRAMES of them arrive during a pause.
// Who waits for an answer before it goes on sends less often, and is looked at all the time.
import { PAUSE_FRAMES, PAUSE_NS } from '../../layout/limits';
import { reckon, tick } from './clock';
import { Node } from './node';
import { schedule } from './schedule';

/** So many new frames outweigh all that was known about a function's pace. */
const AVERAGE_FRAMES: f64 = 16;

/** The function's rings are attached: it counts as one that seldom sends. */
export function openPace(node: Node): void {
  node.interval = f64(PAUSE_NS);
  node.frames = 0;
  node.dear = 0;
  node.refund = 0;
}

/** The function has nothing left, after `frames` frames since the last time. */
export function beginPause(node: Node): void {
  const now = reckon();
  const frames = f64(node.frames);
  const interval = min((now - node.emptySince) / frames, f64(PAUSE_NS));
  node.interval += (interval - node.interval) * min(frames / AVERAGE_FRAMES, 1);
  node.frames = 0;
  node.emptySince = now;
  if (node.interval * f64(PAUSE_FRAMES) > f64(PAUSE_NS)) return;
  node.pausedUntil = tick() + f64(PAUSE_NS);
  notePause(node.pausedUntil);
}

/** Whether it is too early to look at an idle function again. `sweepPaused` does. */
export function isPausing(node: Node): bool {
  if (node.pausedUntil == 0) return false;
  if (node.pausedUntil > reckon()) {
    notePause(node.pausedUntil);
    return true;
  }
  node.pausedUntil = 0;
  return false;
}

function notePause(until: f64): void {
  const state = schedule();
  if (state.pauseEnd == 0 || until < state.pauseEnd) state.pauseEnd = until;
}

/** Whether the first pause has ended. */
export function isPauseOver(): bool {
  const end = schedule().pauseEnd;
  return end != 0 && end <= reckon();
}

/** Whether a function is to be looked at again soon: the processor is not idle. */
export function hasPauses(): bool {
  return schedule().pauseEnd > reckon();
}
