import { lstatSync, unlinkSync } from 'node:fs';
import { later } from '../background.ts';
import { operatorError } from '../errors.ts';
import { socketError } from '../system-refusal.ts';
import { type CloseAccount, claimPeerFd, closePeerFd } from './closer.ts';
import { EMFILE, ENFILE } from './constants.ts';
import { closeFd } from './descriptor.ts';
import type { Poller } from './poller.ts';
import { makeWay } from './stale-socket.ts';
import { SystemError } from './system-error.ts';
import {
  acceptUnixSocket,
  bindUnixSocket,
  connectUnixSocket,
  createUnixSocket,
  listenUnixSocket,
  SOCKET_PATH_LENGTH_MAX,
} from './unix-socket.ts';

/** Which side listens: the NIC (server) or the front-end (client). */
export type SocketMode = 'server' | 'client';

/** How a VF gets its front-ends: it listens, or it connects and reconnects. */
export interface Endpoint {
  /** The front-end is gone: get the next one. */
  resume(): void;
  close(): void;
  save(): EndpointState;
  /** Leaves its socket to a successor, which is created from what this one saved. */
  handOver(): void;
}

/** A listening socket; null for an endpoint without one. */
export type EndpointState = { fd: number; inode: number } | null;

export interface EndpointListener {
  /** The account for closing connections. While it is stuck, no front-end is accepted. */
  readonly closes: CloseAccount;
  /** A front-end has connected. False: the VF already has one, and this one is turned away. */
  onConnection(fd: number): boolean;
  onTrouble(reason: string): void;
}

const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1000;

/**
 * Listens on a path. The umask decides who may connect, as for any socket: it can admit a group of
 * VMMs. Replaces a stale socket; leaves a live one, or any other file, alone.
 */
export class ServerEndpoint implements Endpoint {
  readonly #path: string;
  readonly #poller: Poller;
  readonly #listener: EndpointListener;
  readonly #fd: number;
  readonly #inode: number;
  #pause: NodeJS.Timeout | null = null;

  /**
   * `saved`: a socket that already listens. It belongs to this endpoint even if it cannot be polled
   * yet, which is tried again.
   */
  constructor(path: string, poller: Poller, listener: EndpointListener, saved?: EndpointState) {
    this.#path = path;
    this.#poller = poller;
    this.#listener = listener;
    const { fd, inode } = saved ?? openListener(path);
    this.#fd = fd;
    this.#inode = inode;
    claimPeerFd(fd, listener.closes);
    try {
      this.#listen();
    } catch (error) {
      if (saved) {
        poller.whenOpen(() => this.#listenAgain());
        return;
      }
      this.close(); // otherwise the socket would appear to be alive
      throw error;
    }
  }

  #listen(): void {
    this.#poller.add(this.#fd, () => this.#accept());
  }

  #listenAgain(): void {
    try {
      this.#listen();
    } catch (error) {
      this.#listener.onTrouble((error as Error).message);
      this.#pause = later('listen again', RETRY_MS_MAX, () => this.#listenAgain());
    }
  }

  resume(): void {
    // It never stopped listening.
  }

  save(): EndpointState {
    return { fd: this.#fd, inode: this.#inode };
  }

  handOver(): void {
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#poller.remove(this.#fd);
  }

  close(): void {
    this.handOver();
    closePeerFd(this.#fd); // with the connections that wait there
    removeSocket(this.#path, this.#inode);
  }

  #accept(): void {
    if (this.#listener.closes.isStuck) {
      this.#rest();
      return;
    }
    try {
      const fd = acceptUnixSocket(this.#fd);
      if (fd !== -1) meet(fd, this.#listener);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#listener.onTrouble(describe(error));
      this.#rest();
    }
  }

  /** A waiting connection would wake the poller again and again, so check again later. */
  #rest(): void {
    this.#poller.watch(this.#fd, { read: false, write: false });
    this.#pause = later('accept connections again', RETRY_MS_MAX, () => {
      this.#poller.watch(this.#fd, { read: true, write: false });
    });
  }
}

/**
 * Connects to a path where the front-end listens, and reconnects whenever the connection is lost.
 */
export class ClientEndpoint implements Endpoint {
  readonly #path: string;
  readonly #listener: EndpointListener;
  #timer: NodeJS.Timeout | null = null;
  #delayMs = RETRY_MS_MIN;
  #isClosed = false;

  /** `isConnected`: already connected; `resume` will say when the front-end is gone. */
  constructor(path: string, poller: Poller, listener: EndpointListener, isConnected = false) {
    this.#path = path;
    this.#listener = listener;
    checkPathLength(path);
    if (!isConnected) poller.whenOpen(() => this.#schedule(0));
  }

  resume(): void {
    this.#delayMs = RETRY_MS_MIN;
    this.#schedule(this.#delayMs);
  }

  save(): EndpointState {
    return null;
  }

  handOver(): void {
    this.close(); // it has no socket of its own
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = later('connect to a front-end', delayMs, () => this.#connect());
  }

  #connect(): void {
    if (this.#listener.closes.isStuck) {
      this.#schedule(RETRY_MS_MAX);
      return;
    }
    try {
      if (this.#tryToMeet()) return;
    } catch (error) {
      this.#listener.onTrouble((error as Error).message);
    }
    this.#delayMs = Math.min(this.#delayMs * 2, RETRY_MS_MAX);
    this.#schedule(this.#delayMs);
  }

  #tryToMeet(): boolean {
    const fd = createUnixSocket();
    const isConnected = connectUnixSocket(fd, this.#path) === 0;
    if (isConnected) meet(fd, this.#listener);
    else closeFd(fd);
    return isConnected;
  }
}

function meet(fd: number, listener: EndpointListener): void {
  claimPeerFd(fd, listener.closes);
  try {
    if (!listener.onConnection(fd)) closePeerFd(fd);
  } catch (error) {
    closePeerFd(fd);
    throw error;
  }
}

function openListener(path: string): { fd: number; inode: number } {
  checkPathLength(path);
  let fd = -1;
  try {
    makeWay(path, 'HEDDLE_SOCKET_IN_USE');
    fd = createUnixSocket();
    bindUnixSocket(fd, path);
    listenUnixSocket(fd);
    return { fd, inode: lstatSync(path).ino };
  } catch (error) {
    closeFd(fd);
    throw socketError(error, path) ?? error;
  }
}

function checkPathLength(path: string): void {
  if (Buffer.byteLength(path) > SOCKET_PATH_LENGTH_MAX) {
    throw operatorError('HEDDLE_SOCKET_PATH_TOO_LONG', {
      where: 'the VF',
      limit: SOCKET_PATH_LENGTH_MAX,
      socket: path,
    });
  }
}

/** Removes our socket, unless another process has replaced it. */
function removeSocket(path: string, inode: number): void {
  try {
    if (lstatSync(path).ino === inode) unlinkSync(path);
  } catch {
    // Already gone, or its directory is no longer accessible. A stale socket does no harm.
  }
}

function describe(error: SystemError): string {
  if (error.errno !== EMFILE && error.errno !== ENFILE) return error.message;
  return operatorError('HEDDLE_FILE_DESCRIPTORS', { operation: 'accept a connection' }).message;
}
