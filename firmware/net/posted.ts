// What a delivery knows of the buffers that the guest has posted: one record for each slot from
// the next one on, as far as they are buffers in one piece.
//
//   0         4        8    12     16
//   ┌─────────┬────────┬────┬──────┐
//   │ address │ length │ id │ free │    address 0: it takes a closer look (emit)
//   └─────────┴────────┴────┴──────┘
import { POSTED_BASE, POSTED_RECORD_SIZE } from '../../layout/memory';

@unmanaged
export class Posted {
  address: u32;
  length: u32;
  /** The head of its chain, or its buffer id. */
  id: u32;
}

export function postedAt(place: u32): Posted {
  return changetype<Posted>(POSTED_BASE + place * POSTED_RECORD_SIZE);
}
