// Stale sockets: files that a killed process left behind where a new socket is to be bound.

import { lstatSync, unlinkSync } from 'node:fs';
import { operatorError } from '../errors.ts';
import { AF_UNIX, EACCES, ECONNREFUSED, ENOENT, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { c } from './libc.ts';
import { checked, SystemError } from './system-error.ts';
import { connectUnixSocket } from './unix-socket.ts';

type Finding = 'nothing' | 'stale' | 'live' | 'no socket';

/** Removes the file if it is a stale socket; returns what was found. */
export function removeStaleSocket(path: string): Finding {
  const finding = lookAt(path);
  if (finding === 'stale') unlink(path);
  return finding;
}

/**
 * Clears a path for a socket, or throws an operator error, `inUse` if another process listens
 * there.
 */
export function makeWay(
  path: string,
  inUse: 'HEDDLE_SOCKET_IN_USE' | 'HEDDLE_CONTROL_IN_USE',
): void {
  const finding = removeStaleSocket(path);
  if (finding === 'no socket') throw operatorError('HEDDLE_SOCKET_NOT_A_SOCKET', { socket: path });
  if (finding === 'live') throw operatorError(inUse, { socket: path });
}

/**
 * Disturbs nobody: a datagram socket can probe a live socket of any kind (EPROTOTYPE if the kinds
 * differ) without creating a connection that the owner would have to accept.
 */
function lookAt(path: string): Finding {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return 'nothing';
  if (!status.isSocket()) return 'no socket';
  const probe = checked('socket', c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const error = connectUnixSocket(probe, path);
  c.close(probe);
  if (error === EACCES) throw new SystemError('connect', error);
  if (error === ENOENT) return 'nothing'; // its process removed it in between
  return error === ECONNREFUSED ? 'stale' : 'live';
}

function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // already gone is fine
  }
}
