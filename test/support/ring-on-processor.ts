import { CONTROL_QUEUE } from '../../layout/limits.ts';
import { RING_ENABLED, RING_SIZE } from '../../layout/virtqueue.ts';
import { PinAllocator, planPins } from '../../src/memory/pins.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { PAGE_SIZE } from '../../src/os/page-size.ts';
import type { Message, RingPins } from '../../src/processor/mailbox.ts';
import type { SharedState } from '../../src/state/shared-state.ts';

const PART_SIZE = 0x10000;

/**
 * An empty transmit ring of a VF, with the messages that attach it to a processor and make it trap.
 */
export class RingOnProcessor {
  readonly number: number;
  readonly pins: RingPins;
  readonly attach: Message;
  readonly injectTrap: Message;
  readonly #fd = createMemoryFile('ring', 3 * PART_SIZE);
  readonly #kickFd = createEventFd();

  constructor(shared: SharedState, vf: number) {
    this.number = vf * CONTROL_QUEUE + 1;
    shared.setRingField(this.number, RING_SIZE, 256);
    const pins = planRing(this.#fd);
    this.pins = pins;
    this.injectTrap = { kind: 'inject-trap', ring: this.number, pins };
    this.attach = {
      kind: 'attach-ring',
      ring: this.number,
      owner: vf,
      pins,
      state: RING_ENABLED,
      role: 'transmit',
      looksAhead: false,
      resumesFromUsed: true,
      kickFd: this.#kickFd,
      call: null,
    };
  }

  close(): void {
    c.close(this.#fd);
    c.close(this.#kickFd);
  }
}

/** The pins of a ring whose parts are adjacent in one file. */
function planRing(fd: number): RingPins {
  const parts = [0, 1, 2].map((part) => ({
    ...{ fd, offset: part * PART_SIZE },
    ...{ lengthBytes: PART_SIZE, pageSizeBytes: PAGE_SIZE },
  }));
  const [descriptors, avail, used] = planPins(new PinAllocator(), parts) ?? [];
  if (!descriptors || !avail || !used) throw new Error('assertion: no room for pins');
  return { descriptors, avail, used };
}
