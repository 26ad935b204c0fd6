import { closePeerFd } from './closer.ts';
import { AF_UNIX, SO_DOMAIN, SOL_SOCKET } from './constants.ts';
import { descriptorName } from './descriptor.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';

/** The kinds of descriptors that can be signalled without ever waiting for their owner. */
export type SignalKind = 'eventfd' | 'pipe' | 'socket';

/** A descriptor through which a peer wants to be notified. */
export interface PeerSignal {
  readonly fd: number;
  readonly kind: SignalKind;
}

/**
 * The kind of a descriptor, or null if we cannot signal it. Does not involve a file system: one
 * that its owner serves (FUSE) could block us. Only Unix sockets count; the lock of others can be
 * held by their owner while we send.
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
