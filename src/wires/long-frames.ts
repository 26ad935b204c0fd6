import { TYPE_SERVICE_VLAN } from '../../layout/protocols.ts';
import { EAGAIN, EINTR, EMSGSIZE, MSG_DONTWAIT, MSG_NOSIGNAL } from '../os/constants.ts';
import { c, errno } from '../os/libc.ts';
import { forgetError, PACKET_HEADER_SIZE } from '../os/packet-socket.ts';
import {
  STATUS_SEND_REQUEST,
  STATUS_SENDING,
  TRANSMIT_DATA_OFFSET,
  TRANSMIT_SLOT_COUNT,
  TRANSMIT_SLOT_SIZE,
  type TransmitRing,
} from '../os/transmit-ring.ts';
import { takeAddress } from './io-vector.ts';
import { LONG_GENERATION, LONG_NEXT, type PairMemory } from './port-memory.ts';

/** Two words through which the status and the length of a slot are read and written. */
export const SLOT_WORDS_SIZE = 8;
const PART_WORDS = 4;
/** After the two addresses. */
const TYPE_OFFSET = 12;

export interface LongFrameSettings extends TransmitRing {
  /** Changes whenever the ring is a different one. */
  generation: number;
}

/**
 * Frames that a message cannot carry because their tag is 802.1ad. They are sent from a ring, one
 * at a time, in order with the messages.
 */
export class LongFrames {
  /** Reports room in the ring. */
  readonly fd: number;
  readonly #address: number;
  readonly #memory: PairMemory;
  readonly #place: number;
  #next: number;

  /** `place`: where the two words are. */
  constructor(settings: LongFrameSettings, memory: PairMemory, place: number) {
    this.fd = settings.fd;
    this.#address = settings.address;
    this.#memory = memory;
    this.#place = place;
    const { words } = memory;
    if (words[LONG_GENERATION / 4] !== settings.generation) words[LONG_NEXT / 4] = 0;
    words[LONG_GENERATION / 4] = settings.generation;
    this.#next = words[LONG_NEXT / 4] ?? 0;
    forgetError(this.fd);
  }

  /**
   * Sends the virtio-net header and frame in the `count` parts of an I/O vector at word `parts`.
   * Returns 0, EAGAIN if it has to wait, or the reason why it cannot be sent.
   */
  send(parts: number, count: number): number {
    const { words } = this.#memory;
    const slot = this.#address + this.#next * TRANSMIT_SLOT_SIZE;
    const own = this.#memory.address + this.#place;
    c.memcpy(own, slot, SLOT_WORDS_SIZE);
    const status = words[this.#place / 4] ?? 0;
    // Any other status means free: a frame that was not sent stays in its slot, and the kernel does
    // not advance.
    if (status === STATUS_SENDING) return EAGAIN;
    const length = this.#copy(slot + TRANSMIT_DATA_OFFSET, parts, count);
    if (length === 0 || !this.#isServiceTagged(slot + TRANSMIT_DATA_OFFSET)) return EMSGSIZE;
    words[this.#place / 4] = STATUS_SEND_REQUEST;
    words[this.#place / 4 + 1] = length;
    c.memcpy(slot, own, SLOT_WORDS_SIZE);
    if (c.send(this.fd, 0, 0, MSG_DONTWAIT | MSG_NOSIGNAL) === -1) {
      const error = errno();
      return error === EINTR ? EAGAIN : error;
    }
    this.#next = (this.#next + 1) % TRANSMIT_SLOT_COUNT;
    words[LONG_NEXT / 4] = this.#next;
    return 0;
  }

  /** Without such a tag, the packet itself is too long. */
  #isServiceTagged(data: number): boolean {
    const own = this.#memory.address + this.#place;
    c.memcpy(own, data + PACKET_HEADER_SIZE + TYPE_OFFSET, 2);
    return this.#memory.view.getUint16(this.#place, true) === TYPE_SERVICE_VLAN;
  }

  /** Returns the bytes, or 0 if they do not fit a slot. */
  #copy(data: number, parts: number, count: number): number {
    const { words } = this.#memory;
    let length = 0;
    for (let i = 0; i < count; i++) {
      const part = parts + i * PART_WORDS;
      const size = words[part + 2] ?? 0;
      if (TRANSMIT_DATA_OFFSET + length + size > TRANSMIT_SLOT_SIZE) return 0;
      c.memcpy(data + length, takeAddress(words, part), size);
      length += size;
    }
    return length;
  }
}
