// Rings and buffers outside all regions: the guest made a mistake, or its VMM does not share all of
// the guest's memory.

import type { GuestMemory } from '../memory/guest-memory.ts';
import type { RingPart } from '../virtqueue/ring-setup.ts';

export const NOT_SHARED =
  'outside of the memory that the VMM shares: QEMU needs share=on for each memory backend, ' +
  'those of NUMA nodes and DIMMs included';

/** Why a ring found no place. Behind an IOMMU its parts have I/O virtual addresses, not these. */
export function placeProblem(
  parts: readonly RingPart[],
  memory: GuestMemory,
  isBehindIommu: boolean,
): string {
  const isOutside = ({ address, lengthBytes }: RingPart): boolean =>
    memory.findUser(address, lengthBytes) === null;
  if (isBehindIommu || parts.some(isOutside)) return `lies ${NOT_SHARED}`;
  return 'is one too many: the NIC has no room for more rings';
}
