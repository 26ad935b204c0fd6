// In how many parts a batch is delivered. A part costs some 0.2 µs more, and where it is the other
// core that is busy nothing is won by it. But where a batch took all that its ring had, sender and
// receiver may both wait for its end; then they wait for half of it, and go on during the rest.
import { STEP_BYTES, STEP_FRAMES_MIN } from '../../layout/limits';
import { batch } from '../headers/batch';

/** Frames that a target gets before it hears of them, of a batch that holds `bytes`. */
export function stepOf(frames: u32, bytes: u32): u32 {
  if (batch().hasBacklog) return frames;
  const half = max(STEP_FRAMES_MIN, (frames + 1) >> 1);
  return bytes <= STEP_BYTES ? half : min(half, max(1, (STEP_BYTES * frames) / bytes));
}
