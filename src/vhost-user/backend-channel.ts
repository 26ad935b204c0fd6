import { closePeerFd, closePeerFds } from '../os/closer.ts';
import { EPOLLIN } from '../os/constants.ts';
import type { Poller } from '../os/poller.ts';
import { receiveMessage, sendMessage } from '../os/unix-socket.ts';
import {
  FLAG_NEED_REPLY,
  FLAG_REPLY,
  HEADER_SIZE,
  readHeader,
  readU64,
  writeMessage,
} from './message.ts';

/** Bytes that a front-end may leave unread: requests must not pile up in our memory. */
const UNSENT_BYTES_MAX = 65536;
/** Every reply on this channel is a u64. */
const REPLY_SIZE = HEADER_SIZE + 8;

/** Receives the front-end's result, or null if no reply will come. */
export type OnReply = (result: bigint | null) => void;

export type OnReplyTo = (key: bigint) => OnReply;

export interface BackendChannelState {
  fd: number;
  unsent: Uint8Array;
  received: Uint8Array;
  /** Keys of the requests that have no reply yet, in order. */
  awaited: bigint[];
}

/**
 * The channel for requests of the back end (SET_BACKEND_REQ_FD). Owns its descriptor. Never blocks
 * and never fails: a front-end that reads nothing or sends invalid replies gets no more requests.
 */
export class BackendChannel {
  readonly #fd: number;
  readonly #poller: Poller;
  readonly #waiting: { key: bigint; onReply: OnReply }[] = [];
  #unsent = new Uint8Array(0);
  #received = new Uint8Array(0);
  #isClosed = false;
  #isHandedOver = false;

  /** Throws a SystemError if the descriptor cannot be polled. */
  constructor(fd: number, poller: Poller) {
    this.#fd = fd;
    this.#poller = poller;
    poller.add(fd, (events) => this.#onReady(events));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Sends a request. With `onReply` it asks for a reply, and calls back exactly once. `key`
   * identifies the request in the saved state.
   */
  send(request: number, payload: Uint8Array, onReply?: OnReply, key = 0n): void {
    const message = writeMessage(request, onReply === undefined ? 0 : FLAG_NEED_REPLY, payload);
    if (this.#isClosed || this.#unsent.length + message.length > UNSENT_BYTES_MAX) {
      onReply?.(null);
      return;
    }
    if (onReply !== undefined) this.#waiting.push({ key, onReply });
    this.#unsent = joined(this.#unsent, message);
    this.#flush();
  }

  /** Null if the channel is closed. */
  save(): BackendChannelState | null {
    if (this.#isClosed) return null;
    return {
      fd: this.#fd,
      unsent: this.#unsent.slice(),
      received: this.#received.slice(),
      awaited: this.#waiting.map(({ key }) => key),
    };
  }

  /** `onReply` returns the callback for a reply that is still to come. */
  restore({ unsent, received, awaited }: BackendChannelState, onReply: OnReplyTo): void {
    this.#unsent = unsent.slice();
    this.#received = received.slice();
    this.#waiting.push(...awaited.map((key) => ({ key, onReply: onReply(key) })));
    this.#flush();
  }

  /**
   * Another channel takes over the socket. Requests sent from now on are only queued, and reach the
   * other channel with the saved state.
   */
  handOver(): void {
    if (this.#isClosed) return;
    this.#isHandedOver = true;
    this.#poller.remove(this.#fd);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poller.remove(this.#fd);
    closePeerFd(this.#fd);
    for (const { onReply } of this.#waiting.splice(0)) onReply(null);
  }

  #flush(): void {
    if (this.#isHandedOver) return;
    try {
      while (this.#unsent.length > 0 && this.#poller.isOpen) {
        const sent = sendMessage(this.#fd, this.#unsent);
        if (sent <= 0) break;
        this.#unsent = this.#unsent.slice(sent);
      }
    } catch {
      this.close(); // the front-end closed its end, or the descriptor is not a socket
      return;
    }
    this.#poller.watch(this.#fd, { read: true, write: this.#unsent.length > 0 });
  }

  #onReady(events: number): void {
    if (this.#unsent.length > 0) this.#flush();
    if (this.#isClosed || (events & ~4) === 0) return;
    try {
      const { length, bytes, fds } = receiveMessage(this.#fd, 4096);
      closePeerFds(fds);
      if (length > 0) this.#take(bytes);
      else if (length === 0 || (events & EPOLLIN) === 0) this.close();
    } catch {
      this.close();
    }
  }

  #take(bytes: Uint8Array): void {
    this.#received = joined(this.#received, bytes);
    while (this.#received.length >= REPLY_SIZE) {
      const { flags, size } = readHeader(this.#received);
      const onReply = this.#waiting[0]?.onReply;
      const isReply = (flags & FLAG_REPLY) !== 0 && size === 8 && onReply !== undefined;
      if (!isReply) {
        this.close();
        return;
      }
      const result = readU64(this.#received.subarray(HEADER_SIZE, REPLY_SIZE));
      this.#received = this.#received.slice(REPLY_SIZE);
      this.#waiting.shift();
      onReply(result);
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
