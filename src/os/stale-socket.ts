// A socket that a killed process left behind lies where the next one is to be bound.

import { lstatSync, unlinkSync } from 'node:fs';
import { operatorError } from '../errors.ts';
import { AF_UNIX, EACCES, ECONNREFUSED, ENOENT, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { c } from './libc.ts';
import { checked, SystemError } from './system-error.ts';
import { connectUnixSocket } from './unix-socket.ts';

type Finding = 'nothing' | 'stale' | 'live' | 'no socket';

/** Removes a stale socket, nothing else, and says what there was. */
export function removeStaleSocket(path: string): Finding {
  const finding = lookAt(path);
  if (finding === 'stale') unlink(path);
  return finding;
}

/** Clears a path for a socket, or throws an operator's error: `inUse` if another is alive there. */
export function makeWay(
  path: string,
  inUse: 'HEDDLE_SOCKET_IN_USE' | 'HEDDLE_CONTROL_IN_USE',
): void {
  const finding = removeStaleSocket(path);
  if (finding === 'no socket') throw operatorError('HEDDLE_SOCKET_NOT_A_SOCKET', { socket: path });
  if (finding === 'live') throw operatorError(inUse, { socket: path });
}

/**
 * Nobody is disturbed: whatever the kind of a live socket, a datagram socket meets it (EPROTOTYPE
 * if it is of another), but is no connection that its owner would have to accept.
 */
function lookAt(path: string): Finding {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return 'nothing';
  if (!status.isSocket()) return 'no socket';
  const probe = checked('socket', c.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const error = connectUnixSocket(probe, path);
  c.close(probe);
  if (error === EACCES) throw new SystemError('connect', error);
  if (error === ENOENT) return 'nothing'; // its process removed it between our two looks
  return error === ECONNREFUSED ? 'stale' : 'live';
}

function unlink(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // gone is as good
  }
}
