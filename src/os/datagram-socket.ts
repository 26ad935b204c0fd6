// Unix datagram sockets: one frame per datagram.
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
 * A socket that accepts no descriptors: whoever receives an unwanted descriptor with a datagram has
 * to close it, and that may block until its owner allows it. Older kernels have no such option.
 */
export function createDatagramSocket(): number {
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = checked('socket', c.socket(AF_UNIX, type, 0));
  scratch.view.setUint32(0, 0, true);
  c.setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, scratch.address, 4);
  return fd;
}

/** A socket bound to `path`, replacing a stale one. Throws the system's error. */
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
