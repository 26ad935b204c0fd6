import {
  GUARD_SIZE,
  HUGE_PAGE_SIZE,
  PINS_BASE,
  PRIVATE_END,
  SHARED_BASE,
  SHARED_SIZE,
  SLOTS_BASE,
} from '../../layout/memory.ts';
import type { Pin } from '../memory/pins.ts';
import { LinearMemory } from '../os/linear-memory.ts';

const MEMORY_SIZE = 2 ** 32;

/** The linear memory of a processor, laid out as layout/memory.ts draws it. */
export class AddressSpace {
  readonly memory = new LinearMemory(MEMORY_SIZE);
  readonly pinsOffset: number;
  readonly slotsOffset: number;

  constructor(sharedFd: number) {
    const align = (HUGE_PAGE_SIZE - (this.memory.base % HUGE_PAGE_SIZE)) % HUGE_PAGE_SIZE;
    this.pinsOffset = PINS_BASE + align;
    this.slotsOffset = SLOTS_BASE + align;
    this.memory.unmap(0, GUARD_SIZE);
    this.memory.unmap(PRIVATE_END, SHARED_BASE - PRIVATE_END);
    this.memory.map(SHARED_BASE, SHARED_SIZE, sharedFd, 0);
    const end = SHARED_BASE + SHARED_SIZE;
    this.memory.unmap(end, MEMORY_SIZE - end);
  }

  mapPin(pin: Pin): void {
    let at = this.pinsOffset + pin.pinOffset;
    const whole = { fd: pin.fd, offset: pin.fileOffset, lengthBytes: pin.lengthBytes };
    for (const { fd, offset, lengthBytes } of pin.pieces ?? [whole]) {
      this.memory.map(at, lengthBytes, fd, offset);
      at += lengthBytes;
    }
  }

  unmapPin(pin: Pin): void {
    this.memory.unmap(this.pinsOffset + pin.pinOffset, pin.lengthBytes);
  }

  /** Linear address of the ring part that a pin holds. */
  addressOf(pin: Pin): number {
    return this.pinsOffset + pin.pinOffset + pin.partOffset;
  }
}
