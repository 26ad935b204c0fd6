import { NET_HEADER_F_NEEDS_CSUM } from '../../layout/virtio.ts';
import type { Packet } from './packets.ts';
import { completeChecksum, fragmentIdOf, segment } from './reference.ts';

/**
 * The frames for a receiver that accepts only complete ones. `received` provides the IDs of IPv6
 * fragments.
 */
export function finishedFrames(
  made: Packet,
  received: readonly Uint8Array[] = [],
): readonly Uint8Array[] {
  const { frame, header } = made;
  if (header.gsoType !== 0) {
    const first = received[0];
    return segment(frame, header, first === undefined ? 0 : fragmentIdOf(first));
  }
  if ((header.flags & NET_HEADER_F_NEEDS_CSUM) === 0) return [frame];
  return [completeChecksum(frame, header.checksumStart, header.checksumOffset)];
}
