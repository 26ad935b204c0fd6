import {
  DROP_BUFFER_ADDRESS,
  DROP_BUFFER_DIRECTION,
  DROP_BUFFER_TOO_SMALL,
  DROP_CHAIN_LENGTH,
  DROP_CHAIN_NEXT,
  DROP_CHECKSUM_FIELD,
  DROP_DESTINATION_DOWN,
  DROP_GIANT,
  DROP_HAIRPIN,
  DROP_HEADER_OFFLOAD,
  DROP_HEADER_SHORT,
  DROP_INDIRECT_TABLE,
  DROP_LINK_DOWN,
  DROP_LINK_LOCAL,
  DROP_MTU,
  DROP_NO_DESTINATION,
  DROP_QUEUE_DISABLED,
  DROP_RECEIVE_RATE,
  DROP_RING_FULL,
  DROP_RING_STOPPED,
  DROP_RUNT,
  DROP_SEGMENTATION,
  DROP_SOURCE_ADDRESS,
  DROP_UNTRANSLATED,
  DROP_VLAN_FILTER,
  DROP_WINDOW_EXHAUSTED,
} from '../../layout/counters.ts';
import type { Direction } from './counter-table.ts';

interface DropReason {
  /** Its counter is COUNTER_DROPS + number. */
  readonly number: number;
  readonly of: readonly Direction[];
  readonly help: string;
  /** What an operator can do, in Markdown. Absent where the guest's driver is at fault. */
  readonly remedy?: string;
}

const ALL = ['tx', 'rx', 'control'] as const;

/** Why frames are dropped. docs/drops.md is rendered from this table, each group in this order. */
export const DROP_REASONS = {
  ringFull: {
    number: DROP_RING_FULL,
    of: ['rx'],
    help: 'The guest had no buffer ready, and the frame could not wait for one.',
    remedy: 'A larger ring, more queue pairs, or a guest with more CPU.',
  },
  receiveRate: {
    number: DROP_RECEIVE_RATE,
    of: ['rx'],
    help: 'More than its limit, or the capacity of the uplink, allows, and it could not wait.',
    remedy: 'Raise the limit, or limit who sends to it.',
  },
  destinationDown: {
    number: DROP_DESTINATION_DOWN,
    of: ['tx'],
    help: 'The VF or uplink behind the address has no receive queue that runs.',
    remedy: 'Look at its state in `heddle vf list`.',
  },
  noDestination: {
    number: DROP_NO_DESTINATION,
    of: ['tx'],
    help: 'To a group or an unknown address, and there was no other port to flood it to.',
    remedy: 'Nothing: the guest is alone.',
  },
  hairpin: {
    number: DROP_HAIRPIN,
    of: ['tx'],
    help: 'The destination is where the frame came from.',
    remedy: 'Nothing: it has arrived already.',
  },
  linkLocal: {
    number: DROP_LINK_LOCAL,
    of: ['tx'],
    help: 'To 01:80:c2:00:00:00 to 0f (STP, LACP, LLDP): these stay on a link.',
    remedy: 'Nothing.',
  },
  vlanFilter: {
    number: DROP_VLAN_FILTER,
    of: ['tx'],
    help: "The port is no member of the frame's VLAN, or does not take its tag.",
    remedy: 'See [VLANs](vlans.md).',
  },
  linkDown: {
    number: DROP_LINK_DOWN,
    of: ['tx'],
    help: 'The link of the sender or the destination is down, or it is held.',
    remedy: 'See [link state](link-state.md), [uplinks](uplinks.md).',
  },
  queueDisabled: {
    number: DROP_QUEUE_DISABLED,
    of: ['tx'],
    help: 'The VMM has disabled the queue.',
    remedy: 'Nothing: the guest uses fewer queues.',
  },
  ringStopped: {
    number: DROP_RING_STOPPED,
    of: ['rx'],
    help: 'The ring stopped while the frame was on its way.',
    remedy: 'Nothing, unless the ring stays so: [ring faults](ring-faults.md).',
  },
  mtu: {
    number: DROP_MTU,
    of: ['rx'],
    help: 'The packet is longer than the MTU that the guest has negotiated.',
    remedy: 'Give all guests that talk to each other the same `mtu`.',
  },
  untranslated: {
    number: DROP_UNTRANSLATED,
    of: ['rx'],
    help: "The guest's IOMMU has not told yet where the next buffer lies.",
    remedy: 'See [guests behind an IOMMU](iommu.md).',
  },
  windowExhausted: {
    number: DROP_WINDOW_EXHAUSTED,
    of: ALL,
    help: "One frame touches more of the guest's memory than can be in reach.",
    remedy: 'Nothing if there are few, otherwise a guest with fewer, larger buffers.',
  },
  bufferAddress: {
    number: DROP_BUFFER_ADDRESS,
    of: ALL,
    help: 'A buffer lies outside the memory that the VMM shares (share=on, on all of it).',
  },
  bufferDirection: {
    number: DROP_BUFFER_DIRECTION,
    of: ALL,
    help: 'A transmit buffer is marked device-writable, or a receive buffer device-readable.',
  },
  bufferTooSmall: {
    number: DROP_BUFFER_TOO_SMALL,
    of: ['rx'],
    help: 'The buffers that the guest has posted are too small for the frame.',
  },
  chainLength: {
    number: DROP_CHAIN_LENGTH,
    of: ALL,
    help: 'A descriptor chain is endless or longer than allowed.',
  },
  chainNext: {
    number: DROP_CHAIN_NEXT,
    of: ALL,
    help: 'The next index of a descriptor is beyond the table.',
  },
  indirectTable: {
    number: DROP_INDIRECT_TABLE,
    of: ALL,
    help: 'An indirect table is nested, empty, too long, not negotiated, or its size is invalid.',
  },
  headerShort: {
    number: DROP_HEADER_SHORT,
    of: ['tx'],
    help: 'Shorter than the virtio-net header.',
  },
  headerOffload: {
    number: DROP_HEADER_OFFLOAD,
    of: ['tx'],
    help: 'The header asks for an offload that was not negotiated.',
  },
  checksumField: {
    number: DROP_CHECKSUM_FIELD,
    of: ['tx'],
    help: 'The place of the checksum is beyond the frame or its headers.',
  },
  segmentation: {
    number: DROP_SEGMENTATION,
    of: ['tx'],
    help: 'The virtio-net header of a large frame does not match the frame.',
  },
  runt: {
    number: DROP_RUNT,
    of: ['tx'],
    help: 'Shorter than an Ethernet header, or than its VLAN tag.',
  },
  giant: {
    number: DROP_GIANT,
    of: ['tx'],
    help: 'Longer than any frame.',
  },
  sourceAddress: {
    number: DROP_SOURCE_ADDRESS,
    of: ['tx'],
    help: 'The source is a group address.',
  },
} as const satisfies Readonly<Record<string, DropReason>>;

/** Frames by drop reason. Reasons with zero frames are absent. */
export type Drops = Partial<Record<keyof typeof DROP_REASONS, number>>;
