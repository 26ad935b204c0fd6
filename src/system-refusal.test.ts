import { expect, it } from 'vitest';
import { SystemError } from './os/system-error.ts';
import { socketError } from './system-refusal.ts';

const EACCES = 13;

it.each([
  ['ENOENT', 'HEDDLE_SOCKET_DIRECTORY_MISSING'],
  ['ENOTDIR', 'HEDDLE_SOCKET_DIRECTORY_MISSING'],
  ['EACCES', 'HEDDLE_SOCKET_NOT_WRITABLE'],
  ['EPERM', 'HEDDLE_SOCKET_NOT_WRITABLE'],
  ['EROFS', 'HEDDLE_SOCKET_NOT_WRITABLE'],
  ['EADDRINUSE', 'HEDDLE_SOCKET_IN_USE'],
  ['EMFILE', 'HEDDLE_FILE_DESCRIPTORS'],
  ['ELOOP', 'HEDDLE_KERNEL_REFUSED'],
])('%s of a socket is %s to its operator', (code, expected) => {
  const error = Object.assign(new Error(`${code}: unlink '/run/x.sock'`), { code, errno: -1 });
  expect(socketError(error, '/run/x.sock')).toMatchObject({ code: expected, cause: error });
});

it('takes errors of our own calls, and leaves bugs alone', () => {
  const code = 'HEDDLE_SOCKET_NOT_WRITABLE';
  expect(socketError(new SystemError('bind', EACCES), '/run/x.sock')).toMatchObject({ code });
  expect(socketError(new TypeError('a bug'), '/run/x.sock')).toBeUndefined();
});
