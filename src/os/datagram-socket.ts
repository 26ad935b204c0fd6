// Unix datagram sockets: one frame in each datagram.
import {
  AF_UNIX,
  EADDRINUSE,
  SO_PASSRIGHTS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { removeStaleSocket } from './stale-socket.ts';
import { checked, SystemError } from './system-error.ts';
import { bindErrno } from './unix-socket.ts';

/**
 * Takes no descriptors: whoever reads a datagram that has some, and does not want them, is the one
 * who closes them, and may have to wait for their owner. Older kernels know no way to say so.
 */
export function createDatagramSocket(): number {
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = checked('socket', c.socket(AF_UNIX, type, 0));
  scratch.view.setUint32(0, 0, true);
  c.setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, scratch.address, 4);
  return fd;
}

/** A socket at `path`, where a stale one may lie. Throws an error of the system's. */
export function bindDatagramSocket(path: string): number {
  const fd = createDatagramSocket();
  try {
    bindTakingOver(fd, path);
    return fd;
  } catch (error) {
    c.close(fd);
    throw error;
  }
}

function bindTakingOver(fd: number, path: string): void {
  let error = bindErrno(fd, path);
  if (error === EADDRINUSE && removeStaleSocket(path) === 'stale') error = bindErrno(fd, path);
  if (error !== 0) throw new SystemError('bind', error);
}
