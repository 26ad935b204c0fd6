import { HUGE_PAGE_SIZE, PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';

const CELL_COUNT = PINS_SIZE / PIN_CELL_SIZE;

/** A range of a file to be mapped whole, for as long as a ring runs. */
export interface Pin {
  /** Offset in the pins area, the same in every processor. */
  pinOffset: number;
  lengthBytes: number;
  fd: number;
  fileOffset: number;
  /** Where the ring's part begins behind `pinOffset`. */
  partOffset: number;
}

/**
 * Hands out places in the pins area. One allocator serves the NIC, so that a ring has the same
 * place in every processor. First fit over a bitmap: rings come and go rarely.
 */
export class PinAllocator {
  readonly #isUsed = new Uint8Array(CELL_COUNT);

  /** Finds room for `lengthBytes` at a multiple of `alignBytes`; null when the area is full. */
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

  free(pinOffset: number, lengthBytes: number): void {
    const first = pinOffset / PIN_CELL_SIZE;
    this.#isUsed.fill(0, first, first + Math.ceil(lengthBytes / PIN_CELL_SIZE));
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

/** Plans the pin of `lengthBytes` of a file: whole pages of the file's own page size. */
export function planPin(
  allocator: PinAllocator,
  file: { fd: number; offset: number; pageSizeBytes: number },
  lengthBytes: number,
): Pin | null {
  const page = file.pageSizeBytes;
  const start = Math.floor(file.offset / page) * page;
  const end = Math.ceil((file.offset + lengthBytes) / page) * page;
  const align = page > 4096 ? Math.max(page, HUGE_PAGE_SIZE) : PIN_CELL_SIZE;
  const pinOffset = allocator.allocate(end - start, align);
  if (pinOffset === null) return null;
  return {
    pinOffset,
    lengthBytes: end - start,
    fd: file.fd,
    fileOffset: start,
    partOffset: file.offset - start,
  };
}
