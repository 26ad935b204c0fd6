// The largest frame that Linux makes of a TCP stream: 45 segments, with timestamps, for an MTU of
// 1500. The kernel itself segments frames of a full 64 KiB.

import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { netHeaderBytes, superPacket, TIMESTAMPS } from '../../test/offload/packets.ts';

const segmentBytes = 1448;
const segments = 45;
const payloadLength = segments * segmentBytes;
/** Ethernet, IPv4, and TCP with timestamps. */
const headersSize = 14 + 20 + 32;

/** Without the virtio-net header. */
export const superFrameBytes = headersSize + payloadLength;

/** In segments, each with its own headers. */
export const superFrameWireBytes = segments * (headersSize + segmentBytes);

/** With the virtio-net header. */
export function createSuperFrame(to: string, from: string): Uint8Array {
  const addresses = { to, from, version: 4, transport: 'tcp' } as const;
  const shape = { ...addresses, tcpOptions: TIMESTAMPS, payloadLength };
  const { frame, header } = superPacket(shape, segmentBytes);
  const bytes = new Uint8Array(NET_HEADER_SIZE + frame.length);
  bytes.set(netHeaderBytes(header));
  bytes.set(frame, NET_HEADER_SIZE);
  return bytes;
}
