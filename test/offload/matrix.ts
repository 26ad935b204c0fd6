// The matrix of senders, receivers and packets. It is generated so that no pair is forgotten.

import {
  NET_HEADER_GSO_ECN,
  VIRTIO_F_RING_PACKED,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import type { Addresses } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { OFFLOAD_SETS, type OffloadSet, PLAIN_FEATURES } from './feature-sets.ts';
import {
  datagramToFragment,
  FINISHED,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
  TCP_FLAG,
} from './packets.ts';
import { finishedFrames } from './reference-frames.ts';

export type RingFormat = 'split' | 'packed';

export interface Party {
  offloads: OffloadSet;
  isMergeable: boolean;
  format: RingFormat;
}

export const FORMATS: readonly RingFormat[] = ['split', 'packed'];
export const SETS = Object.keys(OFFLOAD_SETS) as readonly OffloadSet[];

const SUPER_FRAME_MAX = 65553;

export function partyName({ offloads, isMergeable, format }: Party): string {
  return `${offloads}${isMergeable ? ', mergeable' : ''}${format === 'packed' ? ', packed' : ''}`;
}

export function featuresOf({ offloads, isMergeable, format }: Party): number[] {
  return [
    ...PLAIN_FEATURES,
    ...OFFLOAD_SETS[offloads],
    ...(isMergeable ? [VIRTIO_NET_F_MRG_RXBUF] : []),
    ...(format === 'packed' ? [VIRTIO_F_RING_PACKED] : []),
  ];
}

/** Buffers as drivers post them: small if mergeable, otherwise as large as the largest frame. */
export function guestOptions(party: Party): GuestOptions {
  const takesSuper = party.offloads !== 'off' && party.offloads !== 'checksum';
  const common = { features: featuresOf(party), memory: { gapBytesMax: 200 } };
  if (party.isMergeable) {
    const buffers = { bufferBytesMin: 100, bufferBytesMax: 1700, slots: 96 };
    return { ...common, frameSizeMax: SUPER_FRAME_MAX, ...buffers };
  }
  return { ...common, frameSizeMax: takesSuper ? SUPER_FRAME_MAX : 1600, slots: 12 };
}

/** A sender's buffers are always large. */
export function senderOptions(party: Party): GuestOptions {
  return { ...guestOptions(party), frameSizeMax: SUPER_FRAME_MAX, slots: 8 };
}

export interface Shot {
  name: string;
  made: Packet;
}

const VLAN = [{ type: 0x8100, control: 0x2005 }];

/** What a guest with these offloads may send: complete frames, and incomplete ones. */
export function shots(sender: OffloadSet, addresses: Addresses): Shot[] {
  const features = new Set(OFFLOAD_SETS[sender]);
  return ([4, 6] as const).flatMap((version) =>
    (['tcp', 'udp'] as const).flatMap((transport) =>
      [[], VLAN].flatMap((tags) => {
        const shape = { ...addresses, version, transport, tags, payloadLength: 1337 };
        const name = `${transport}${version}${tags.length > 0 ? ' in a VLAN' : ''}`;
        return shotsOf(name, shape, features);
      }),
    ),
  );
}

function shotsOf(name: string, shape: PacketShape, features: ReadonlySet<number>): Shot[] {
  const undone = packet(shape);
  const finished = { ...undone, frame: finishedFrames(undone)[0] as Uint8Array, header: FINISHED };
  const all: Shot[] = [{ name: `${name}, finished`, made: finished }];
  if (!features.has(VIRTIO_NET_F_CSUM)) return all;
  all.push({ name: `${name}, incomplete checksum`, made: undone });
  const large = { ...shape, payloadLength: 4999 };
  const tso = shape.version === 4 ? VIRTIO_NET_F_HOST_TSO4 : VIRTIO_NET_F_HOST_TSO6;
  if (shape.transport === 'tcp' && features.has(tso)) {
    all.push({ name: `${name}, super-frame`, made: superPacket(large, 1400) });
    if (features.has(VIRTIO_NET_F_HOST_ECN)) all.push(ecnShot(name, large));
  }
  if (shape.transport === 'udp' && features.has(VIRTIO_NET_F_HOST_USO)) {
    all.push({ name: `${name}, super-frame`, made: superPacket(large, 1200) });
  }
  if (shape.transport === 'udp' && features.has(VIRTIO_NET_F_HOST_UFO)) {
    all.push({ name: `${name}, to fragment`, made: datagramToFragment(large, 1480) });
  }
  return all;
}

function ecnShot(name: string, shape: PacketShape): Shot {
  const made = superPacket({ ...shape, tcpFlags: TCP_FLAG.CWR | TCP_FLAG.ACK }, 1400);
  const gsoType = made.header.gsoType | NET_HEADER_GSO_ECN;
  return { name: `${name}, ECN`, made: { ...made, header: { ...made.header, gsoType } } };
}
