import {
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
  NET_HEADER_GSO_UDP,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_ECN,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_GUEST_UFO,
  VIRTIO_NET_F_GUEST_USO4,
  VIRTIO_NET_F_GUEST_USO6,
} from '../../layout/virtio.ts';
import { type Arrival, difference, FINISHED, type Packet } from './packets.ts';
import { findHeaders } from './reference.ts';
import { finishedFrames } from './reference-frames.ts';

/** Whether a guest with these features accepts the packet with its incomplete offloads. */
function takesUndone(made: Packet, features: ReadonlySet<number>): boolean {
  const { gsoType, flags } = made.header;
  if (flags !== 0 && !features.has(VIRTIO_NET_F_GUEST_CSUM)) return false;
  if (gsoType === 0) return true;
  if ((gsoType & NET_HEADER_GSO_ECN) !== 0 && !features.has(VIRTIO_NET_F_GUEST_ECN)) return false;
  return features.has(featureFor(made));
}

function featureFor(made: Packet): number {
  switch (made.header.gsoType & ~NET_HEADER_GSO_ECN) {
    case NET_HEADER_GSO_TCPV4:
      return VIRTIO_NET_F_GUEST_TSO4;
    case NET_HEADER_GSO_TCPV6:
      return VIRTIO_NET_F_GUEST_TSO6;
    case NET_HEADER_GSO_UDP:
      return VIRTIO_NET_F_GUEST_UFO;
    default:
      return findHeaders(made.frame).version === 4
        ? VIRTIO_NET_F_GUEST_USO4
        : VIRTIO_NET_F_GUEST_USO6;
  }
}

/** What a guest with these features must receive for a packet. */
function expectedArrivals(
  made: Packet,
  features: ReadonlySet<number>,
  received: readonly Arrival[],
): Arrival[] {
  if (takesUndone(made, features)) {
    // The length of the headers is the real one, not the one that the sender stated.
    const isSuper = made.header.gsoType !== 0;
    const header = isSuper ? { ...made.header, headerLength: made.payload } : made.header;
    return [{ frame: made.frame, header }];
  }
  const frames = finishedFrames(
    made,
    received.map(({ frame }) => frame),
  );
  return frames.map((frame) => ({ frame, header: FINISHED }));
}

/** What is wrong with the arrivals, in words; empty if nothing is. */
export function arrivalProblem(
  made: Packet,
  features: ReadonlySet<number>,
  received: readonly Arrival[],
): string {
  const expected = expectedArrivals(made, features, received);
  const bytes = difference(
    received.map(({ frame }) => frame),
    expected.map(({ frame }) => frame),
  );
  if (bytes !== '') return bytes;
  for (const [index, { header }] of expected.entries()) {
    const [is, wanted] = [received[index]?.header, header].map((one) => JSON.stringify(one));
    if (is !== wanted) return `header ${index}: ${is} instead of ${wanted}`;
  }
  return '';
}
