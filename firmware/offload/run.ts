// A run: frames of one flow, each of which continues where the previous one ends.
import { RUN_RECORD_SIZE, RUNS_BASE } from '../../layout/memory';

/** How the identifications of IPv4 continue; 0 while there is only one. */
export const ONE_MORE_EACH: u32 = 1;
export const ONE_IDENTIFICATION: u32 = 2;

@unmanaged
export class Run {
  /** Its first and last frame in the batch; RUN_LINKS_BASE has the ones between. */
  first: u32;
  last: u32;
  count: u32;
  /** The headers of the first frame, in scratch, and their offsets. */
  header: u32;
  l3: u32;
  l4: u32;
  dataOffset: u32;
  isV6: u32;
  /** Length of the joined frame. */
  length: u32;
  /** Bytes of data in each frame but the last. */
  unit: u32;
  nextSequence: u32;
  identification: u32;
  /** The checksums of the first frame are correct. */
  isIntact: u32;
  /** No more frames may be joined. */
  isOver: u32;
  /** FIN and PSH of the last frame. */
  lastFlags: u32;

  takeFrom(other: Run): void {
    const to = changetype<u32>(this);
    const from = changetype<u32>(other);
    for (let at: u32 = 0; at < RUN_RECORD_SIZE; at += 16) v128.store(to + at, v128.load(from + at));
  }
}

if (offsetof<Run>() > RUN_RECORD_SIZE) ERROR('a Run is more than its record');

export function runAt(place: u32): Run {
  return changetype<Run>(RUNS_BASE + place * RUN_RECORD_SIZE);
}
