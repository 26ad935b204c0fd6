// What the system refused, in the operator's words: the one way from an errno to an error of the
// table. Each caller says what its errnos mean; the rest is the same for all.

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
 * The operator's error behind one of the system's: one of our own calls, or of Node's own fs and
 * net. Undefined if it is none of the system's, and so is a mistake of ours. `operation` is what
 * the kernel refused if none of the meanings fits.
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

/** Of every Unix socket that listens: the control socket, those of VFs and those of uplinks. */
const SOCKET_MEANINGS = {
  ENOENT: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
  ENOTDIR: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
  EACCES: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EPERM: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EROFS: 'HEDDLE_SOCKET_NOT_WRITABLE',
  EADDRINUSE: 'HEDDLE_SOCKET_IN_USE',
} as const;

/** What keeps a Unix socket from listening. */
export function socketError(error: unknown, socket: string): OperatorError | undefined {
  return systemRefusal(error, `listen on ${socket}`, SOCKET_MEANINGS, { socket });
}
