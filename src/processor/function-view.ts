import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { Translation } from '../memory/iotlb.ts';
import type { Pin } from '../memory/pins.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { WireSettings } from '../wires/wires.ts';
import type { Message, RingPins, RingRole } from './mailbox.ts';

/** A ring that runs, as processors have to know it. */
export interface RingView {
  readonly ring: number;
  /** The processor that it belongs to. A receive ring is attached to all others, too. */
  readonly processor: number;
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
  /** The processor that runs it. */
  readonly processor: number;
  /** The ring of its receive queue. */
  readonly receiveRing: number;
  readonly pin: Pin;
  readonly wire: WireSettings;
  readonly mtu: number;
  readonly callFd: number;
}

/** What a function's place in the switch is to processors. */
interface PortView {
  readonly port: number;
  /** Whether it takes frames. */
  readonly isUp: boolean;
}

/** What processors have to know of a function: plain data that an empty one is brought up from. */
export interface FunctionView {
  /** The function's number. */
  readonly owner: number;
  readonly ringBlock: RingBlock;
  /** Of a function without a place in the switch: null. */
  readonly port: PortView | null;
  readonly regions: readonly MemoryRegion[];
  readonly isBehindIommu: boolean;
  readonly translations: readonly Translation[];
  readonly rings: readonly RingView[];
  readonly wires: readonly WireView[];
}

type AttachRing = Extract<Message, { kind: 'attach-ring' }>;

/**
 * How a processor learns of a ring; null if it has nothing to do with it for now. The same whether
 * the ring starts or its processor is replaced.
 */
export function attachMessage(
  view: RingView,
  { owner, isBehindIommu }: Pick<FunctionView, 'owner' | 'isBehindIommu'>,
  processor: number,
): AttachRing | null {
  const { ring, role, pins, state, kickFd, call, isPacked, isPlaced } = view;
  const isOwner = view.processor === processor;
  if (!isOwner && (role !== 'receive' || !isPlaced)) return null;
  // A receive ring may be in use by other processors right now: its shared record says where it
  // stands. Any other has one user, so its guest's used index does. A packed ring has no such
  // index: once it has a place, the record is all there is.
  const hasIndex = role !== 'receive' && !isPacked;
  return {
    kind: 'attach-ring',
    ring,
    owner,
    pins,
    state,
    role,
    looksAhead: isBehindIommu && role === 'receive',
    resumesFromUsed: isOwner && (!isPlaced || hasIndex),
    kickFd,
    call,
  };
}

/** What a processor has to be told of a function before anybody sends to it. */
export function receivingMessages(view: FunctionView, processor: number): Message[] {
  const { owner, ringBlock: rings, port, regions, isBehindIommu, translations } = view;
  const isReached = regions.length > 0 || isBehindIommu;
  return [
    ...(isReached ? [{ kind: 'set-memory', owner, rings, regions, isBehindIommu } as const] : []),
    ...(translations.length > 0
      ? [{ kind: 'set-translations', owner, rings, translations } as const]
      : []),
    ...attachMessages(view, processor, (role) => role === 'receive'),
    ...(port === null ? [] : portMessages(port, view.wires, processor)),
  ];
}

function portMessages(
  { port, isUp }: PortView,
  wires: readonly WireView[],
  index: number,
): Message[] {
  return [
    { kind: 'set-port', port, isUp },
    ...wires
      .filter(({ processor }) => processor === index)
      .map(({ processor: _, ...wire }) => ({ kind: 'attach-port', port, ...wire }) as const),
  ];
}

/** … and what it has to be told when all ports receive. */
export function sendingMessages(view: FunctionView, processor: number): Message[] {
  return attachMessages(view, processor, (role) => role !== 'receive');
}

function attachMessages(
  view: FunctionView,
  processor: number,
  isMeant: (role: RingRole) => boolean,
): AttachRing[] {
  return view.rings
    .filter(({ role }) => isMeant(role))
    .map((ring) => attachMessage(ring, view, processor))
    .filter((message) => message !== null);
}
