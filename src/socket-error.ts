// What keeps a Unix socket from listening, said once for every socket: the control socket, those of
// VFs and those of uplinks.

import { asOperatorError, type OperatorError, operatorError } from './errors.ts';

/**
 * The operator's error behind one of the system's: one of our own calls, or of Node's own fs and
 * net. Undefined if it is none of the system's, and so is a mistake of ours.
 */
export function socketError(error: unknown, socket: string): OperatorError | undefined {
  const known = asOperatorError(error);
  if (known !== undefined) return known;
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) return undefined;
  const errno = String(error.code);
  const options = { cause: error };
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
      return operatorError('HEDDLE_SOCKET_DIRECTORY_MISSING', { socket }, options);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return operatorError('HEDDLE_SOCKET_NOT_WRITABLE', { socket }, options);
    case 'EADDRINUSE':
      return operatorError('HEDDLE_SOCKET_IN_USE', { socket }, options);
    default: {
      const operation = `listen on ${socket}`;
      return operatorError('HEDDLE_KERNEL_REFUSED', { operation, errno }, options);
    }
  }
}
