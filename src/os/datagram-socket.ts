// Unix datagram sockets: one frame in each datagram.
import { lstatSync, unlinkSync } from 'node:fs';
import {
  AF_UNIX,
  EADDRINUSE,
  ECONNREFUSED,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
} from './constants.ts';
import { c } from './libc.ts';
import { checked } from './system-error.ts';
import { bindErrno, connectUnixSocket } from './unix-socket.ts';

export function createDatagramSocket(): number {
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return checked('socket', c.socket(AF_UNIX, type, 0));
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
