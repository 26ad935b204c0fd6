// The posted buffers that a delivery knows: one record per slot, from the next slot on, as long as
// each buffer is a single descriptor.
//
//   0         4        8    12     16
//   ┌─────────┬────────┬────┬──────┐
//   │ address │ length │ id │ free │    address 0: it takes the general path (emit)
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
