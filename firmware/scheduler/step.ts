// In how many parts a batch is delivered. Each further part costs about 0.2 µs, and gains nothing
// while it is the other core that is busy. But if the batch took all frames of its ring, sender and
// receiver may both be waiting for its end. In two parts, they wait for only half of it and work
// during the rest.
import { STEP_BYTES, STEP_FRAMES_MIN } from '../../layout/limits';
import { batch } from '../headers/batch';

/** Frames that a target gets before it is notified, for a batch of `bytes` bytes. */
export function stepOf(frames: u32, bytes: u32): u32 {
  if (batch().hasBacklog) return frames;
  const half = max(STEP_FRAMES_MIN, (frames + 1) >> 1);
  return bytes <= STEP_BYTES ? half : min(half, max(1, (STEP_BYTES * frames) / bytes));
}
