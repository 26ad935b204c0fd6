import { closePeerFd } from './closer.ts';
import { AF_UNIX, SO_DOMAIN, SOL_SOCKET } from './constants.ts';
import { descriptorName } from './descriptor.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

/** The kinds of descriptors that we know how to raise without ever waiting for their owner. */
export type SignalKind = 'eventfd' | 'pipe' | 'socket';

/** A descriptor with which a peer wants to be told of something. */
export interface PeerSignal {
  readonly fd: number;
  readonly kind: SignalKind;
}

/**
 * What a descriptor is, or null if it is nothing that we raise. Asks no file system: one that its
 * owner serves (FUSE) could keep us waiting for the answer. A socket counts if it is a Unix one;
 * others have a lock that their owner can hold while we send.
 */
export function signalKind(fd: number): SignalKind | null {
  const name = descriptorName(fd);
  if (name === 'anon_inode:[eventfd]') return 'eventfd';
  if (name.startsWith('pipe:')) return 'pipe';
  return name.startsWith('socket:') && domainOf(fd) === AF_UNIX ? 'socket' : null;
}

export function closeSignal(signal: PeerSignal | null): void {
  if (signal !== null) closePeerFd(signal.fd);
}

function domainOf(fd: number): number {
  scratch.view.setUint32(4, 4, true);
  const { address } = scratch;
  const result = c.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, address, address + 4);
  return result === 0 ? scratch.view.getInt32(0, true) : -1;
}
