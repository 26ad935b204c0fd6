// From an error of the system to an error of the table, in one place. Each caller says what its
// errnos mean; the rest is the same for all.

import {
  asOperatorError,
  type ErrorCode,
  type ErrorParameters,
  type OperatorError,
  operatorError,
} from './errors.ts';

/** Errors by the name of the errno. */
type Meanings<Code extends ErrorCode> = Readonly<Record<string, Code>>;

/**
 * The operator's error behind an error of the system, from one of our own calls or from Node's fs
 * and net. Undefined if it is not an error of the system: then it is a bug of ours. `operation` is
 * named if none of the meanings applies.
 */
export function systemRefusal<Code extends ErrorCode>(
  error: unknown,
  operation: string,
  meanings: Meanings<Code>,
  parameters: ErrorParameters<Code>,
): OperatorError | undefined {
  const known = asOperatorError(error);
  if (known !== undefined) return known;
  if (!(error instanceof Error) || !('errno' in error) || !('code' in error)) return undefined;
  const errno = String(error.code);
  const meaning = meanings[errno];
  if (meaning !== undefined) return operatorError(meaning, parameters, { cause: error });
  return operatorError('HEDDLE_KERNEL_REFUSED', { operation, errno }, { cause: error });
}

/** For every listening Unix socket: the control socket, and those of VFs and uplinks. */
const SOCKET_MEANINGS = {
  ENOENT: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
  ENOTDIR: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
  EACCES: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EPERM: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EROFS: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EADDRINUSE: 'HEDDLE_SOCKET_IN_USE',
} as const;

/** Why a Unix socket cannot listen. */
export function socketError(error: unknown, socket: string): OperatorError | undefined {
  return systemRefusal(error, `listen on ${socket}`, SOCKET_MEANINGS, { socket });
}
