// The peer of a socket that is bound and not connected: every datagram names it. A socket that is
// connected hears nobody but the very socket that it was connected to. A peer that restarts is
// another one at the same path, and would be refused until we connected anew.
//
// The price: the socket cannot tell when there is room in the peer's queue, since only a connected
// one is told. So there is a second socket, which never sends, and which connects to the peer
// whenever its queue is full, to wait for that.

import { AF_UNIX, EPERM } from '../os/constants.ts';
import { c, errno } from '../os/libc.ts';
import { sendBufferBytes, unsentBytes } from '../os/packet-socket.ts';
import type { PairMemory } from './port-memory.ts';

/** struct sockaddr_un: the family, the path, and a zero. */
export const PEER_ADDRESS_SIZE = 112;
const PATH_OFFSET = 2;

export interface DatagramPeerSettings {
  /** Where the peer is bound. */
  path: string;
  /** The second socket. */
  roomFd: number;
}

export class DatagramPeer {
  /** Absolute, for msg_name. */
  readonly address: number;
  readonly addressSize: number;
  readonly #fd: number;
  readonly #roomFd: number;
  readonly #sendBufferBytes: number;

  /** `fd`: the socket that sends. `place`: where the address lies in the port's memory. */
  constructor(fd: number, settings: DatagramPeerSettings, memory: PairMemory, place: number) {
    this.#fd = fd;
    this.#roomFd = settings.roomFd;
    this.#sendBufferBytes = sendBufferBytes(fd);
    const path = new TextEncoder().encode(settings.path);
    this.addressSize = PATH_OFFSET + path.length + 1;
    if (this.addressSize > PEER_ADDRESS_SIZE) throw new Error('assertion: path of a peer');
    this.address = memory.address + place;
    memory.bytes.fill(0, place, place + PEER_ADDRESS_SIZE);
    memory.view.setUint16(place, AF_UNIX, true);
    memory.bytes.set(path, place + PATH_OFFSET);
  }

  /**
   * The descriptor that becomes writable when there is room again, after the peer had none. −errno
   * if the peer is gone.
   */
  findRoomFd(): number {
    // The kernel's own condition for "writable". While it does not hold, it is what we wait for.
    const isOwnBufferFull = unsentBytes(this.#fd) * 4 > this.#sendBufferBytes;
    if (isOwnBufferFull) return this.#fd;
    if (c.connect(this.#roomFd, this.address, this.addressSize) === 0) return this.#roomFd;
    const error = errno();
    // It is connected to us, and then its queue has no limit but our own buffer.
    return error === EPERM ? this.#fd : -error;
  }
}
