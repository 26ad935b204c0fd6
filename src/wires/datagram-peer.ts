// The peer of a socket that is bound but not connected: every datagram is addressed to it. A
// connected socket hears only the very socket it was connected to. A peer that restarts is a
// different socket at the same path, and would be refused until we reconnected.
//
// The price: the socket cannot tell when the peer's queue has room, since only a connected socket
// is notified. So a second socket, which never sends, connects to the peer whenever its queue is
// full, to wait for room.

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

  /** `fd`: the socket that sends. `place`: where the address goes in the port's memory. */
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
    // The kernel's own condition for "writable". While it is false, that is what we wait for.
    const isOwnBufferFull = unsentBytes(this.#fd) * 4 > this.#sendBufferBytes;
    if (isOwnBufferFull) return this.#fd;
    if (c.connect(this.#roomFd, this.address, this.addressSize) === 0) return this.#roomFd;
    const error = errno();
    // The peer is connected to us, so only our own send buffer limits its queue.
    return error === EPERM ? this.#fd : -error;
  }
}
