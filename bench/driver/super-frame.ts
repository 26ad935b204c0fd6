// The largest frame there is: 64 KiB of TCP in one piece, for whoever needs pieces to cut.

import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { netHeaderBytes, superPacket } from '../../test/offload/packets.ts';

const ethernetSize = 14;
const ipPacketBytesMax = 65535;
/** Of IPv4 and TCP without options. */
const headersSize = 40;
/** What an MTU of 1500 leaves beside those headers. */
const segmentBytes = 1460;

/** Without the virtio-net header. */
export const superFrameBytes = ethernetSize + ipPacketBytesMax;

/** Behind its virtio-net header. */
export function createSuperFrame(to: string, from: string): Uint8Array {
  const payloadLength = ipPacketBytesMax - headersSize;
  const shape = { to, from, version: 4, transport: 'tcp', payloadLength } as const;
  const { frame, header } = superPacket(shape, segmentBytes);
  const bytes = new Uint8Array(NET_HEADER_SIZE + frame.length);
  bytes.set(netHeaderBytes(header));
  bytes.set(frame, NET_HEADER_SIZE);
  return bytes;
}
