import { HUGE_PAGE_SIZE, PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';
import { PAGE_SIZE } from '../os/page-size.ts';

const CELL_COUNT = PINS_SIZE / PIN_CELL_SIZE;

/** Bytes reserved for guests' rings, however many uplinks there are. */
export const GUEST_PINS_MIN = PINS_SIZE / 8;

/** A range of a file that stays mapped while a ring runs. */
export interface Pin {
  /** Offset in the pins area, the same in every processor. */
  pinOffset: number;
  lengthBytes: number;
  fd: number;
  fileOffset: number;
  /** Offset of the ring part behind `pinOffset`. */
  partOffset: number;
  /**
   * If the part consists of several file ranges, one after the other: these ranges, instead of `fd`
   * and `fileOffset`. Behind an IOMMU, one range of the guest may be many separate pages.
   */
  pieces?: readonly FilePart[];
}

/**
 * Allocates places in the pins area. The NIC has one allocator, so that a ring has the same place
 * in every processor. First fit over a bitmap is good enough, because rings come and go rarely.
 */
export class PinAllocator {
  readonly #isUsed = new Uint8Array(CELL_COUNT);

  /** Allocates `lengthBytes` at a multiple of `alignBytes`. Returns null if there is no room. */
  allocate(lengthBytes: number, alignBytes: number): number | null {
    const cells = Math.ceil(lengthBytes / PIN_CELL_SIZE);
    const step = Math.max(1, alignBytes / PIN_CELL_SIZE);
    for (let first = 0; first + cells <= CELL_COUNT; first += step) {
      if (this.#isFree(first, cells)) {
        this.#isUsed.fill(1, first, first + cells);
        return first * PIN_CELL_SIZE;
      }
    }
    return null;
  }

  /** Allocates a specific place, that of a saved pin. Returns false if any of it is in use. */
  claim(pinOffset: number, lengthBytes: number): boolean {
    const first = pinOffset / PIN_CELL_SIZE;
    const cells = Math.ceil(lengthBytes / PIN_CELL_SIZE);
    if (first + cells > CELL_COUNT || !this.#isFree(first, cells)) return false;
    this.#isUsed.fill(1, first, first + cells);
    return true;
  }

  free(pinOffset: number, lengthBytes: number): void {
    const first = pinOffset / PIN_CELL_SIZE;
    this.#isUsed.fill(0, first, first + Math.ceil(lengthBytes / PIN_CELL_SIZE));
  }

  /**
   * Whether guests keep their share if this much more is allocated. Asked for what is not a guest's
   * ring.
   */
  hasRoomBeside(lengthBytes: number): boolean {
    return this.usedCells * PIN_CELL_SIZE + lengthBytes <= PINS_SIZE - GUEST_PINS_MIN;
  }

  get usedCells(): number {
    return this.#isUsed.reduce((sum, used) => sum + used, 0);
  }

  #isFree(first: number, cells: number): boolean {
    for (let cell = first; cell < first + cells; cell++) {
      if (this.#isUsed[cell] === 1) return false;
    }
    return true;
  }
}

/** A range of a memory file. */
export interface FilePart {
  fd: number;
  offset: number;
  lengthBytes: number;
  pageSizeBytes: number;
}

/**
 * Plans the pins of a ring's parts: whole pages of their file. Adjacent parts, which most drivers
 * have, share one pin; with huge pages this saves much room. Returns null if there is no room.
 */
export function planPins(allocator: PinAllocator, parts: readonly FilePart[]): Pin[] | null {
  const apart = parts.reduce((sum, part) => sum + pageRange(part).lengthBytes, 0);
  const whole = wholeOf(parts);
  if (whole !== null && pageRange(whole).lengthBytes <= apart) {
    const shared = planPin(allocator, whole);
    if (shared === null) return null;
    return parts.map((part) => ({ ...shared, partOffset: part.offset - shared.fileOffset }));
  }
  const pins: Pin[] = [];
  for (const part of parts) {
    const pin = planPin(allocator, part);
    if (pin === null) {
      for (const done of pins) allocator.free(done.pinOffset, done.lengthBytes);
      return null;
    }
    pins.push(pin);
  }
  return pins;
}

/**
 * Plans the pin of one part that consists of several pieces. Returns null if there is no room, or
 * if a piece is not whole system pages, because other pieces cannot be mapped next to each other.
 */
export function planPieces(
  allocator: PinAllocator,
  pieces: readonly FilePart[],
  partOffset: number,
  pageSize = PAGE_SIZE,
): Pin | null {
  const isWhole = ({ offset, lengthBytes, pageSizeBytes }: FilePart) =>
    pageSizeBytes <= pageSize && offset % pageSize === 0 && lengthBytes % pageSize === 0;
  if (!pieces.every(isWhole)) return null;
  const lengthBytes = pieces.reduce((sum, piece) => sum + piece.lengthBytes, 0);
  const pinOffset = allocator.allocate(lengthBytes, PIN_CELL_SIZE);
  if (pinOffset === null) return null;
  return { pinOffset, lengthBytes, fd: -1, fileOffset: 0, partOffset, pieces };
}

/** Whether a pin maps part of a file. */
export function isPinOf(pin: Pin, fd: number): boolean {
  return pin.fd === fd || (pin.pieces?.some((piece) => piece.fd === fd) ?? false);
}

/** Each place once, however many parts share it. */
export function distinctPins(pins: readonly Pin[]): Pin[] {
  return pins.filter(
    (pin, index) => pins.findIndex((other) => other.pinOffset === pin.pinOffset) === index,
  );
}

function planPin(allocator: PinAllocator, part: FilePart): Pin | null {
  const { fileOffset, lengthBytes } = pageRange(part);
  // Cells are aligned for any system page size, but not for huge pages.
  const isHuge = part.pageSizeBytes > PIN_CELL_SIZE;
  const align = isHuge ? Math.max(part.pageSizeBytes, HUGE_PAGE_SIZE) : PIN_CELL_SIZE;
  const pinOffset = allocator.allocate(lengthBytes, align);
  if (pinOffset === null) return null;
  return { pinOffset, lengthBytes, fd: part.fd, fileOffset, partOffset: part.offset - fileOffset };
}

/** The smallest range that contains all parts, or null if they are in several files. */
function wholeOf(parts: readonly FilePart[]): FilePart | null {
  const [first] = parts;
  if (first === undefined || parts.some((part) => part.fd !== first.fd)) return null;
  const offset = Math.min(...parts.map((part) => part.offset));
  const end = Math.max(...parts.map((part) => part.offset + part.lengthBytes));
  return { ...first, offset, lengthBytes: end - offset };
}

function pageRange(part: FilePart): { fileOffset: number; lengthBytes: number } {
  const page = part.pageSizeBytes;
  const fileOffset = Math.floor(part.offset / page) * page;
  const end = Math.ceil((part.offset + part.lengthBytes) / page) * page;
  return { fileOffset, lengthBytes: end - fileOffset };
}
