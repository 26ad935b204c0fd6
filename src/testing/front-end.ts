import { rmSync } from 'node:fs';
import { c } from '../os/libc.ts';
import {
  acceptUnixSocket,
  bindUnixSocket,
  connectUnixSocket,
  createUnixSocket,
  listenUnixSocket,
  receiveMessage,
  sendMessage,
} from '../os/unix-socket.ts';
import {
  FLAG_NEED_REPLY,
  FrontendRequest,
  HEADER_SIZE,
  type RequestName,
  readHeader,
  readU64,
  writeMessage,
} from '../vhost-user/message.ts';
import { acquirePoller, type PollerLease } from './shared-poller.ts';

/** The back end reported that a request failed. */
export class RequestRefused extends Error {
  readonly request: RequestName;

  constructor(request: RequestName, result: bigint) {
    super(`the back end refused ${request}: ${result}`);
    this.name = 'RequestRefused';
    this.request = request;
  }
}

class ConnectionClosed extends Error {
  constructor() {
    super('the back end closed the connection');
    this.name = 'ConnectionClosed';
  }
}

interface Waiter {
  request: number;
  resolve: (payload: Uint8Array) => void;
  reject: (error: Error) => void;
}

const NO_PAYLOAD = new Uint8Array(0);

/**
 * The front-end's end of a vhost-user socket: sends requests, or any bytes for hostile tests.
 */
export class FrontEnd {
  readonly fd: number;
  /** Resolves when the back end has closed the connection, or after `close`. */
  readonly closed: Promise<void>;
  /** Whether REPLY_ACK is negotiated, so that the back end acknowledges every request. */
  hasReplyAck = false;
  isClosed = false;
  readonly #lease: PollerLease;
  readonly #waiters: Waiter[] = [];
  #unsent: { bytes: Uint8Array; fds: readonly number[] }[] = [];
  #received: Uint8Array = NO_PAYLOAD;
  #isDeaf = false;
  #announceClosed: () => void = () => {};

  constructor(fd: number) {
    this.fd = fd;
    this.closed = new Promise((resolve) => {
      this.#announceClosed = resolve;
    });
    this.#lease = acquirePoller();
    this.#lease.poller.add(fd, () => this.#onReady());
  }

  /** Connects to a NIC that listens. */
  static connect(path: string): FrontEnd {
    const fd = createUnixSocket();
    const error = connectUnixSocket(fd, path);
    if (error !== 0) {
      c.close(fd);
      throw new Error(`cannot connect to ${path}: errno ${error}`);
    }
    return new FrontEnd(fd);
  }

  /** Sends a request. With REPLY_ACK it resolves when the back end has executed it. */
  async send(
    request: RequestName,
    payload: Uint8Array = NO_PAYLOAD,
    fds: readonly number[] = [],
  ): Promise<void> {
    if (!this.hasReplyAck) {
      this.sendRaw(writeMessage(FrontendRequest[request], 0, payload), fds);
      return;
    }
    const reply = this.#expect(FrontendRequest[request]);
    this.sendRaw(writeMessage(FrontendRequest[request], FLAG_NEED_REPLY, payload), fds);
    const result = readU64(await reply);
    if (result !== 0n) throw new RequestRefused(request, result);
  }

  /** Sends a request whose answer has a payload. */
  async ask(request: RequestName, payload: Uint8Array = NO_PAYLOAD): Promise<Uint8Array> {
    const reply = this.#expect(FrontendRequest[request]);
    this.sendRaw(writeMessage(FrontendRequest[request], 0, payload));
    return await reply;
  }

  /** Sends arbitrary bytes and descriptors. What does not fit into the socket is sent later. */
  sendRaw(bytes: Uint8Array, fds: readonly number[] = []): void {
    if (this.isClosed) return;
    this.#unsent.push({ bytes, fds });
    this.#flush();
  }

  /** The next message of the back end, whatever request it answers. */
  nextMessage(): Promise<Uint8Array> {
    return this.#expect(0);
  }

  /** Stops reading answers, until the back end gives up. */
  stopReading(): void {
    this.#lease.poller.remove(this.fd);
    this.#isDeaf = true;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#lease.poller.remove(this.fd);
    this.#lease.release();
    c.close(this.fd);
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new ConnectionClosed());
    this.#announceClosed();
  }

  #expect(request: number): Promise<Uint8Array> {
    if (this.isClosed) return Promise.reject(new ConnectionClosed());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ request, resolve, reject });
    });
  }

  #flush(): void {
    try {
      while (this.#unsent.length > 0) {
        const first = this.#unsent[0];
        if (first === undefined) break;
        const sent = sendMessage(this.fd, first.bytes, first.fds);
        if (sent === -1) break;
        if (sent === first.bytes.length) this.#unsent.shift();
        else this.#unsent[0] = { bytes: first.bytes.subarray(sent), fds: [] };
      }
    } catch {
      this.close(); // EPIPE: the back end has gone
      return;
    }
    if (this.#isDeaf) return;
    this.#lease.poller.watch(this.fd, { read: true, write: this.#unsent.length > 0 });
  }

  #onReady(): void {
    if (this.#unsent.length > 0) this.#flush();
    if (this.isClosed) return;
    try {
      const { length, bytes, fds } = receiveMessage(this.fd, 4096);
      for (const fd of fds) c.close(fd);
      if (length === 0) this.close();
      if (length > 0) this.#take(bytes);
    } catch {
      this.close(); // ECONNRESET
    }
  }

  #take(bytes: Uint8Array): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    while (this.#received.length >= HEADER_SIZE) {
      const header = readHeader(this.#received);
      const end = HEADER_SIZE + header.size;
      if (this.#received.length < end) return;
      const message = this.#received.subarray(0, end);
      this.#received = this.#received.subarray(end);
      this.#settle(header.request, message);
    }
  }

  #settle(request: number, message: Uint8Array): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) throw new Error(`unexpected answer to request ${request}`);
    if (waiter.request === 0) waiter.resolve(message);
    else if (waiter.request === request) waiter.resolve(message.subarray(HEADER_SIZE));
    else waiter.reject(new Error(`answer to ${request} instead of ${waiter.request}`));
  }
}

/** A socket on which a mock VMM waits for a NIC in client mode. */
export class FrontEndListener {
  readonly #fd = createUnixSocket();
  readonly #path: string;
  readonly #lease: PollerLease = acquirePoller();
  readonly #accepted: FrontEnd[] = [];
  readonly #waiters: ((frontEnd: FrontEnd) => void)[] = [];

  constructor(path: string) {
    this.#path = path;
    rmSync(path, { force: true });
    bindUnixSocket(this.#fd, path);
    listenUnixSocket(this.#fd);
    this.#lease.poller.add(this.#fd, () => this.#onConnection());
  }

  /** The next connection of the NIC. */
  accept(): Promise<FrontEnd> {
    const ready = this.#accepted.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  close(): void {
    this.#lease.poller.remove(this.#fd);
    this.#lease.release();
    c.close(this.#fd);
    rmSync(this.#path, { force: true });
    for (const frontEnd of this.#accepted) frontEnd.close();
  }

  #onConnection(): void {
    const fd = acceptUnixSocket(this.#fd);
    if (fd === -1) return;
    const frontEnd = new FrontEnd(fd);
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#accepted.push(frontEnd);
    else waiter(frontEnd);
  }
}
