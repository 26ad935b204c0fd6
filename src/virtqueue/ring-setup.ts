import { QUEUE_SIZE_MAX } from '../../layout/limits.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
} from '../../layout/virtio.ts';
import {
  AVAIL_RING,
  DESCRIPTOR_SIZE,
  PACKED_EVENT_SIZE,
  PACKED_WRAP,
  RING_F_EVENT_INDEX,
  RING_F_IN_ORDER,
  RING_F_INDIRECT,
  RING_F_PACKED,
  RING_FAULT_SETUP,
  USED_ELEMENT_SIZE,
  USED_RING,
} from '../../layout/virtqueue.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { IOMMU_PAGE_SIZE, pageStart } from '../memory/iotlb.ts';
import {
  distinctPins,
  type FilePart,
  type Pin,
  type PinAllocator,
  planPieces,
  planPins,
} from '../memory/pins.ts';
import { closePeerFds } from '../os/closer.ts';
import type { PeerSignal } from '../os/peer-signal.ts';
import type { RingPins } from '../processor/mailbox.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { hasFeature } from './features.ts';

/** What the front-end says about one ring, in its own addresses. Grows message by message. */
export interface RingSetup {
  size: number;
  /** Whether the front-end has set the size. */
  hasSize: boolean;
  addresses: { descriptors: bigint; avail: bigint; used: bigint } | null;
  base: number;
  kickFd: number;
  call: PeerSignal | null;
  error: PeerSignal | null;
  isEnabled: boolean;
}

export function createRingSetup(): RingSetup {
  return {
    size: 0,
    hasSize: false,
    addresses: null,
    base: 0,
    kickFd: -1,
    call: null,
    error: null,
    isEnabled: false,
  };
}

function fdsOf({ kickFd, call, error }: RingSetup): number[] {
  return [kickFd, call?.fd ?? -1, error?.fd ?? -1].filter((fd) => fd >= 0);
}

/** Number of descriptors that came with these ring setups. */
export function descriptorsOf(setups: Iterable<RingSetup>): number {
  return [...setups].reduce((sum, setup) => sum + fdsOf(setup).length, 0);
}

export function closeDescriptors(setup: RingSetup): void {
  closePeerFds(fdsOf(setup));
}

export function isPackedRing(features: bigint): boolean {
  return hasFeature(features, VIRTIO_F_RING_PACKED);
}

/** Split (2.7): a power of two, at most 32768. Packed (2.8): every number up to that. */
export function isQueueSize(size: number, features: bigint): boolean {
  if (size <= 0 || size > QUEUE_SIZE_MAX) return false;
  return isPackedRing(features) || (size & (size - 1)) === 0;
}

/** Alignment of the parts (2.7, 2.8), in the addresses of the side that names them. */
export function isAligned(
  addresses: NonNullable<RingSetup['addresses']>,
  features: bigint,
): boolean {
  const { descriptors, avail, used } = addresses;
  const isPacked = isPackedRing(features);
  return descriptors % 16n === 0n && avail % (isPacked ? 4n : 2n) === 0n && used % 4n === 0n;
}

/** Bytes of the three parts of a ring: descriptors, driver area, device area. */
function partSizes(size: number, features: bigint): [number, number, number] {
  if (isPackedRing(features)) {
    return [size * DESCRIPTOR_SIZE, PACKED_EVENT_SIZE, PACKED_EVENT_SIZE];
  }
  // Both rings end in a 2-byte event index, even if it is not used.
  const avail = AVAIL_RING + size * 2 + 2;
  return [size * DESCRIPTOR_SIZE, avail, USED_RING + size * USED_ELEMENT_SIZE + 2];
}

/** A part of a ring as the front-end names it. `isWritten`: whether the NIC writes to it. */
export interface RingPart {
  address: bigint;
  lengthBytes: number;
  isWritten: boolean;
}

/** The three parts of a ring, or none if their addresses are not known. */
export function ringParts(setup: RingSetup, features: bigint): RingPart[] {
  const { addresses, size } = setup;
  if (addresses === null) return [];
  const [descriptors, avail, used] = partSizes(size, features);
  const isPacked = isPackedRing(features);
  return [
    { address: addresses.descriptors, lengthBytes: descriptors, isWritten: isPacked },
    { address: addresses.avail, lengthBytes: avail, isWritten: false },
    { address: addresses.used, lengthBytes: used, isWritten: true },
  ];
}

/**
 * The guest address behind a page of I/O virtual addresses, or null if unknown or not permitted.
 */
export type TranslatePage = (iova: bigint, isWritten: boolean) => number | null;

/**
 * Locates the three parts of a ring and pins them. Returns null if memory or room is missing. With
 * `translate`, their addresses are I/O virtual addresses.
 */
export function pinRing(
  setup: RingSetup,
  memory: GuestMemory,
  allocator: PinAllocator,
  features: bigint,
  translate?: TranslatePage,
): RingPins | null {
  const parts = ringParts(setup, features);
  const pieces: FilePart[][] = [];
  for (const part of parts) {
    const found =
      translate === undefined ? piecesOf(part, memory) : translatedPieces(part, memory, translate);
    if (found === null) return null;
    pieces.push(found);
  }
  if (parts.length === 0) return null;
  const pins = pieces.every((one) => one.length === 1)
    ? planPins(allocator, pieces.flat())
    : planScattered(allocator, parts, pieces);
  if (pins === null) return null;
  const [descriptors, avail, used] = pins as [Pin, Pin, Pin];
  return { descriptors, avail, used };
}

function piecesOf({ address, lengthBytes }: RingPart, memory: GuestMemory): FilePart[] | null {
  const found = memory.findUser(address, lengthBytes);
  if (found === null) return null;
  const { fd, fileOffset, pageSizeBytes } = found.region;
  return [{ fd, offset: fileOffset + found.offset, lengthBytes, pageSizeBytes }];
}

/** One piece if the pages are contiguous in their file, else whole pages. */
function translatedPieces(
  { address, lengthBytes, isWritten }: RingPart,
  memory: GuestMemory,
  translate: TranslatePage,
): FilePart[] | null {
  const pieces: FilePart[] = [];
  const start = pageStart(address);
  const end = address + BigInt(lengthBytes);
  for (let iova = start; iova < end; iova += BigInt(IOMMU_PAGE_SIZE)) {
    const guestAddress = translate(iova, isWritten);
    const found = guestAddress === null ? null : memory.findGuest(guestAddress, IOMMU_PAGE_SIZE);
    if (found === null) return null;
    const { fd, fileOffset, pageSizeBytes } = found.region;
    const offset = fileOffset + found.offset;
    const last = pieces.at(-1);
    if (last !== undefined && last.fd === fd && last.offset + last.lengthBytes === offset) {
      last.lengthBytes += IOMMU_PAGE_SIZE;
    } else {
      pieces.push({ fd, offset, lengthBytes: IOMMU_PAGE_SIZE, pageSizeBytes });
    }
  }
  const [only] = pieces;
  if (only === undefined || pieces.length > 1) return pieces;
  return [{ ...only, offset: only.offset + Number(address - start), lengthBytes }];
}

/** One pin for each part, whether the part is one piece or several. */
function planScattered(
  allocator: PinAllocator,
  parts: readonly RingPart[],
  pieces: readonly FilePart[][],
): Pin[] | null {
  const pins: Pin[] = [];
  for (const [index, part] of parts.entries()) {
    const own = pieces[index] ?? [];
    const offset = Number(part.address - pageStart(part.address));
    const pin =
      own.length === 1
        ? (planPins(allocator, own)?.[0] ?? null)
        : planPieces(allocator, own, offset);
    if (pin === null) {
      for (const done of pins) allocator.free(done.pinOffset, done.lengthBytes);
      return null;
    }
    pins.push(pin);
  }
  return pins;
}

export function freePins(pins: RingPins, allocator: PinAllocator): void {
  for (const pin of distinctPins(Object.values(pins))) {
    allocator.free(pin.pinOffset, pin.lengthBytes);
  }
}

/** Takes the places of saved pins. Returns false, and takes none, if any of them is in use. */
export function claimPins(pins: RingPins, allocator: PinAllocator): boolean {
  const claimed: Pin[] = [];
  for (const pin of distinctPins(Object.values(pins))) {
    if (allocator.claim(pin.pinOffset, pin.lengthBytes)) {
      claimed.push(pin);
      continue;
    }
    for (const { pinOffset, lengthBytes } of claimed) allocator.free(pinOffset, lengthBytes);
    return false;
  }
  return true;
}

/** The RING_F flags that follow from the negotiated features, on any device. */
export function ringFlags(features: bigint): number {
  const flag = (bit: number, value: number) => (hasFeature(features, bit) ? value : 0);
  return (
    flag(VIRTIO_F_EVENT_IDX, RING_F_EVENT_INDEX) |
    flag(VIRTIO_F_IN_ORDER, RING_F_IN_ORDER) |
    flag(VIRTIO_F_INDIRECT_DESC, RING_F_INDIRECT) |
    flag(VIRTIO_F_RING_PACKED, RING_F_PACKED)
  );
}

/**
 * A ring's initial position, as stored in its record. For a packed ring, this is an index and a
 * wrap counter. vhost-user repeats them for the used side in the upper half; both are equal,
 * because all buffers complete in order.
 */
export function startPlace(base: number, features: bigint): number {
  return isPackedRing(features) ? base & 0xffff : 0;
}

/** The answer to GET_VRING_BASE for a ring at this position. */
export function baseOf(place: number, features: bigint): number {
  const isPacked = isPackedRing(features);
  return isPacked ? (place | (place << 16)) >>> 0 : place;
}

/** Whether a base is a position on such a ring. */
function isRingBase(base: number, size: number, features: bigint): boolean {
  if (!isPackedRing(features)) return base <= 0xffff;
  return size === 0 || (base & (PACKED_WRAP - 1)) < size;
}

/**
 * What is wrong with a ring's setup so far, or null. The firmware trusts size and base, and would
 * leave the ring's memory if the base were beyond the size.
 */
export function setupProblem(setup: RingSetup, features: bigint): RingProblem | null {
  const { addresses, base, size } = setup;
  const wrong = (reason: string) => ({ fault: RING_FAULT_SETUP, reason });
  if (setup.hasSize && !isQueueSize(size, features)) {
    const rule = isPackedRing(features) ? 'from 1 to 32768' : 'a power of two up to 32768';
    return wrong(`queue size ${size} is not ${rule}`);
  }
  if (!isRingBase(base, size, features)) {
    return wrong(`ring base ${base} is no place of the ring`);
  }
  if (addresses !== null && !isAligned(addresses, features)) {
    return wrong('a part of the ring is not aligned as virtio demands');
  }
  return null;
}

/** Bytes. The firmware accesses indexes and flags with 16-bit atomic instructions. */
const ATOMIC_ALIGNMENT = 2;

/**
 * Whether the parts are aligned where they are mapped. A front-end may shift a region's addresses
 * against its file by any amount, so what is aligned for the front-end may be odd here, and would
 * trap.
 */
export function isAlignedWhereMapped(pins: RingPins): boolean {
  return Object.values(pins).every((pin: Pin) => pin.partOffset % ATOMIC_ALIGNMENT === 0);
}
