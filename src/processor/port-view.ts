import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { Translation } from '../memory/iotlb.ts';
import type { Pin } from '../memory/pins.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { WireSettings } from '../wires/wires.ts';
import type { Command, RingPins, RingRole } from './commands.ts';

/** A ring that runs, as processors have to know it. */
export interface RingView {
  readonly ring: number;
  /** The processor that it belongs to. A receive ring is attached to all others, too. */
  readonly owner: number;
  readonly role: RingRole;
  readonly pins: RingPins;
  /** RING_ENABLED or RING_DISABLED. */
  readonly state: number;
  readonly kickFd: number;
  readonly call: PeerSignal | null;
  readonly isPacked: boolean;
  /** Its owner has found out in the guest's memory where it stands. The others wait for that. */
  readonly isPlaced: boolean;
}

/** A queue pair of an uplink: what its driver works with, and where. */
export interface WireView {
  readonly pair: number;
  readonly owner: number;
  readonly pin: Pin;
  readonly wire: WireSettings;
  readonly mtu: number;
  readonly callFd: number;
}

/** What processors have to know of a port: plain data, from which an empty one is brought up. */
export interface PortView {
  readonly vf: number;
  /** Whether it takes frames. */
  readonly isUp: boolean;
  readonly regions: readonly MemoryRegion[];
  readonly isBehindIommu: boolean;
  readonly translations: readonly Translation[];
  readonly rings: readonly RingView[];
  readonly wires: readonly WireView[];
}

type AttachRing = Extract<Command, { kind: 'attach-ring' }>;

/**
 * How a processor learns of a ring; null if it has nothing to do with it for now. The same whether
 * the ring starts or its processor is replaced.
 */
export function attachCommand(
  { ring, owner, role, pins, state, kickFd, call, isPacked, isPlaced }: RingView,
  isBehindIommu: boolean,
  processor: number,
): AttachRing | null {
  const isOwner = owner === processor;
  if (!isOwner && (role !== 'receive' || !isPlaced)) return null;
  // A receive ring may be in use by other processors right now: its shared record says where it
  // stands. Any other has one user, so its guest's used index does. A packed ring has no such
  // index: once it has a place, the record is all there is.
  const hasIndex = role !== 'receive' && !isPacked;
  return {
    kind: 'attach-ring',
    ring,
    pins,
    state,
    role,
    looksAhead: isBehindIommu && role === 'receive',
    resumesFromUsed: isOwner && (!isPlaced || hasIndex),
    kickFd,
    call,
  };
}

/** What a processor has to be told of a port before anybody sends to it. */
export function receivingCommands(view: PortView, processor: number): Command[] {
  const { vf, isUp, regions, isBehindIommu, translations } = view;
  const isReached = regions.length > 0 || isBehindIommu;
  return [
    ...(isReached ? [{ kind: 'set-memory', vf, regions, isBehindIommu } as const] : []),
    ...(translations.length > 0 ? [{ kind: 'set-translations', vf, translations } as const] : []),
    ...attachCommands(view, processor, (role) => role === 'receive'),
    { kind: 'set-port', vf, isUp },
    ...view.wires
      .filter(({ owner }) => owner === processor)
      .map(({ owner: _, ...wire }) => ({ kind: 'attach-port', vf, ...wire }) as const),
  ];
}

/** … and what it has to be told when all ports receive. */
export function sendingCommands(view: PortView, processor: number): Command[] {
  return attachCommands(view, processor, (role) => role !== 'receive');
}

function attachCommands(
  { rings, isBehindIommu }: PortView,
  processor: number,
  isMeant: (role: RingRole) => boolean,
): AttachRing[] {
  return rings
    .filter(({ role }) => isMeant(role))
    .map((ring) => attachCommand(ring, isBehindIommu, processor))
    .filter((command) => command !== null);
}
