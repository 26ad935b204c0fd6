import { inBackground, later } from '../background.ts';
import { claimAlike, closePeerFds } from '../os/closer.ts';
import { EPOLLHUP, SHUT_RDWR } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import type { Poller } from '../os/poller.ts';
import { receiveMessage, sendMessage } from '../os/unix-socket.ts';
import {
  FLAG_REPLY,
  HEADER_SIZE,
  type Header,
  PAYLOAD_SIZE_MAX,
  readHeader,
  VERSION,
  VERSION_MASK,
} from './message.ts';

/** Time for a front-end to finish a message that it has begun. */
const MESSAGE_TIMEOUT_MS = 5000;

/**
 * No request takes more than 8 descriptors. Up to this many are kept, so that the request can be
 * refused with a reason; with more, the connection is closed.
 */
const MESSAGE_FDS_MAX = 253;

export interface Message {
  header: Header;
  payload: Uint8Array;
  /** The listener keeps or closes them. */
  fds: number[];
}

export interface ConnectionState {
  fd: number;
  /** The part of the next message that has arrived, and the descriptors that came with it. */
  partial: Uint8Array;
  fds: number[];
}

export interface ConnectionListener {
  /** Called for one message at a time: the next is read when the promise has settled. */
  onMessage(message: Message): Promise<void>;
  onClose(reason: string | null): void;
}

/**
 * Splits the byte stream of one front-end into messages with their descriptors. Never blocks: bytes
 * are read as they arrive, and a peer that sends an invalid header, stalls, or does not read its
 * replies is disconnected.
 */
export class Connection {
  readonly #fd: number;
  readonly #poller: Poller;
  readonly #listener: ConnectionListener;
  #partial = new Uint8Array(0);
  #fds: number[] = [];
  #isBusy = false;
  #isClosed = false;
  #isHandedOver = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(fd: number, poller: Poller, listener: ConnectionListener) {
    this.#fd = fd;
    this.#poller = poller;
    this.#listener = listener;
    poller.add(fd, (events) => this.#readable(events));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends a message. A peer whose buffer is full of unread replies is closed rather than waited
   * for.
   */
  send(message: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      if (sendMessage(this.#fd, message) !== message.length) this.close('it reads no replies');
    } catch (error) {
      this.close((error as Error).message);
    }
  }

  /** Works between two messages and in the middle of one that is still incomplete. */
  save(): ConnectionState {
    return { fd: this.#fd, partial: this.#partial.slice(), fds: [...this.#fds] };
  }

  restore({ partial, fds }: ConnectionState): void {
    this.#fds = [...fds];
    this.#partial = partial.slice();
    if (partial.length > 0) this.#poller.whenOpen(() => this.#startTimer());
  }

  /** Another connection takes over the socket. Only the request in hand is still answered here. */
  handOver(): void {
    if (this.#isClosed) return;
    this.#isHandedOver = true;
    this.#stopTimer();
    this.#poller.remove(this.#fd);
  }

  /** `reason` is null if the peer did nothing wrong. */
  close(reason: string | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopTimer();
    this.#poller.remove(this.#fd);
    c.shutdown(this.#fd, SHUT_RDWR); // tells the peer now, however long the close takes
    closePeerFds([this.#fd, ...this.#fds.splice(0)]);
    this.#listener.onClose(reason);
  }

  #readable(events: number): void {
    if (this.#isBusy) {
      // Reading is paused, but EPOLLHUP cannot be masked: the peer has closed its end.
      if ((events & EPOLLHUP) !== 0) this.close(null);
      return;
    }
    try {
      this.#readSome();
    } catch (error) {
      this.close((error as Error).message);
    }
  }

  #readSome(): void {
    while (!this.#isClosed && !this.#isBusy) {
      const received = receiveMessage(this.#fd, this.#missing());
      this.#fds.push(...received.fds);
      claimAlike(received.fds, this.#fd);
      if (received.length < 0) return;
      if (this.#fds.length > MESSAGE_FDS_MAX) this.close('it sends descriptors without end');
      else if (received.isTruncated) this.close('its descriptors were cut off');
      else if (received.length === 0) this.close(null);
      else this.#take(received.bytes);
    }
  }

  #take(bytes: Uint8Array): void {
    this.#append(bytes);
    const problem = this.#headerProblem();
    if (problem !== null) this.close(problem);
    else if (this.#missing() === 0) this.#dispatch();
  }

  #append(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.#partial.length + bytes.length);
    joined.set(this.#partial);
    joined.set(bytes, this.#partial.length);
    this.#partial = joined;
    this.#startTimer();
  }

  #startTimer(): void {
    this.#timer ??= later('close a connection', MESSAGE_TIMEOUT_MS, () =>
      this.close('it left a message unfinished'),
    );
  }

  /** Bytes that complete the header, or else the message. Never includes bytes of the next one. */
  #missing(): number {
    if (this.#partial.length < HEADER_SIZE) return HEADER_SIZE - this.#partial.length;
    return HEADER_SIZE + readHeader(this.#partial).size - this.#partial.length;
  }

  #headerProblem(): string | null {
    if (this.#partial.length < HEADER_SIZE) return null;
    const { flags, size } = readHeader(this.#partial);
    if ((flags & VERSION_MASK) !== VERSION) return `it speaks version ${flags & VERSION_MASK}`;
    if ((flags & FLAG_REPLY) !== 0) return 'it sent a reply where a request belongs';
    if (size > PAYLOAD_SIZE_MAX) return `it announced a message of ${size} bytes`;
    return null;
  }

  #dispatch(): void {
    const header = readHeader(this.#partial);
    const payload = this.#partial.slice(HEADER_SIZE);
    const fds = this.#fds;
    this.#partial = new Uint8Array(0);
    this.#fds = [];
    this.#stopTimer();
    this.#isBusy = true;
    this.#poller.watch(this.#fd, { read: false, write: false });
    const handling = this.#listener
      .onMessage({ header, payload, fds })
      .then(() => this.#resume())
      .catch((error: Error) => this.close(error.message));
    inBackground('close the connection of a front-end', handling);
  }

  #resume(): void {
    this.#isBusy = false;
    if (this.#isClosed || this.#isHandedOver) return;
    this.#poller.watch(this.#fd, { read: true, write: false });
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
