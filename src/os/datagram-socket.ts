// Unix datagram sockets: one frame in each datagram.
import { lstatSync, unlinkSync } from 'node:fs';
import {
  AF_UNIX,
  EADDRINUSE,
  ECONNREFUSED,
  SO_PASSRIGHTS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from './constants.ts';
import { c } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';
import { bindErrno, connectUnixSocket } from './unix-socket.ts';

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

/** A socket at `path`, where a stale one may lie. Returns −errno if it cannot be. */
export function bindDatagramSocket(path: string): number {
  const fd = createDatagramSocket();
  let error = bindErrno(fd, path);
  if (error === EADDRINUSE && isStale(path)) {
    error = unlinkErrno(path);
    if (error === 0) error = bindErrno(fd, path);
  }
  if (error === 0) return fd;
  c.close(fd);
  return -error;
}

function unlinkErrno(path: string): number {
  try {
    unlinkSync(path);
    return 0;
  } catch (error) {
    return -((error as NodeJS.ErrnoException).errno ?? -EADDRINUSE);
  }
}

function isStale(path: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const probe = createDatagramSocket();
  const error = connectUnixSocket(probe, path);
  c.close(probe);
  return error === ECONNREFUSED;
}
