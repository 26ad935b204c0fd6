import type { MemoryRegion } from '../memory/guest-memory.ts';
import type { Translation } from '../memory/iotlb.ts';
import type { Pin } from '../memory/pins.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { WireSettings } from '../wires/wires.ts';
import type { Message, RingPins, RingRole } from './mailbox.ts';

/** What processors have to know about a running ring. */
export interface RingView {
  readonly ring: number;
  /** The processor that owns it. A receive ring is attached to all others, too. */
  readonly processor: number;
  readonly role: RingRole;
  readonly pins: RingPins;
  /** RING_ENABLED or RING_DISABLED. */
  readonly state: number;
  readonly kickFd: number;
  readonly call: PeerSignal | null;
  readonly isPacked: boolean;
  /**
   * Its owner has read the ring's position from guest memory. The other processors wait for that.
   */
  readonly isPlaced: boolean;
}

/** A queue pair of an uplink: the memory and the wire of its driver. */
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

/** A function's place in the switch, as processors see it. */
interface PortView {
  readonly port: number;
  /** Whether it accepts frames. */
  readonly isUp: boolean;
}

/**
 * What processors have to know about a function: plain data from which an empty one is brought up.
 */
export interface FunctionView {
  /** The function's number. */
  readonly owner: number;
  readonly ringBlock: RingBlock;
  /** Null for a function without a place in the switch. */
  readonly port: PortView | null;
  readonly regions: readonly MemoryRegion[];
  readonly isBehindIommu: boolean;
  readonly translations: readonly Translation[];
  readonly rings: readonly RingView[];
  readonly wires: readonly WireView[];
}

type AttachRing = Extract<Message, { kind: 'attach-ring' }>;

/**
 * The message that attaches a ring to a processor, or null if the processor has nothing to do with
 * it for now. The same whether the ring starts or its processor is replaced.
 */
export function attachMessage(
  view: RingView,
  { owner, isBehindIommu }: Pick<FunctionView, 'owner' | 'isBehindIommu'>,
  processor: number,
): AttachRing | null {
  const { ring, role, pins, state, kickFd, call, isPacked, isPlaced } = view;
  const isOwner = view.processor === processor;
  if (!isOwner && (role !== 'receive' || !isPlaced)) return null;
  // A receive ring may be in use by other processors right now, so its position is in the shared
  // record. Any other ring has one user, so its guest's used index is its position. A packed ring
  // has no such index: once its position is known, the record is the only source.
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

/** What a processor must be told about a function before any other function may send to it. */
export function receivingMessages(view: FunctionView, processor: number): Message[] {
  const { owner, ringBlock: rings, port, regions, isBehindIommu, translations } = view;
  const isReached = regions.length > 0 || isBehindIommu;
  return [
    ...(isReached ? [{ kind: 'set-memory', owner, rings, regions, isBehindIommu } as const] : []),
    ...(translations.length > 0
      ? [{ kind: 'set-translations', owner, rings, translations } as const]
      : []),
    ...attachMessages(view, processor, (role) => role === 'receive'),
    ...(port === null ? [] : portMessages(port, view, processor)),
  ];
}

function portMessages(
  { port, isUp }: PortView,
  { owner, wires }: FunctionView,
  index: number,
): Message[] {
  return [
    { kind: 'set-port', port, owner, isUp },
    ...wires
      .filter(({ processor }) => processor === index)
      .map(({ processor: _, ...wire }) => ({ kind: 'attach-port', port, ...wire }) as const),
  ];
}

/** What it must be told once all ports receive. */
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
