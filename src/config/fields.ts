// Fields that several validators share.

import { z } from 'zod';

/** `reason`: why the maximum is what it is, if that is not obvious. */
export function wholeNumber(minimum: number, maximum: number, reason?: string): z.ZodInt {
  const limits = `a whole number from ${minimum} to ${maximum}`;
  const allowed = reason === undefined ? limits : `${limits} (${reason})`;
  return z.int(allowed).min(minimum, allowed).max(maximum, allowed);
}

const nameAllowed = '1 to 32 letters, digits, ".", "_" or "-", starting with a letter or digit';
export const name = z.string(nameAllowed).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/, nameAllowed);

/** `sun_path` of sockaddr_un has 108 bytes, of which the last ends the string. */
export const SOCKET_PATH_BYTES_MAX = 107;

// Absolute, because "heddle apply" and the NIC may run in different directories.
const pathAllowed = 'an absolute path of at most 107 bytes';
export const socketPath = z
  .string(pathAllowed)
  .regex(/^\/.*[^/]$/, pathAllowed)
  .max(SOCKET_PATH_BYTES_MAX, pathAllowed)
  .refine((path) => Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX, pathAllowed)
  .refine((path) => !path.includes('\0'), pathAllowed);

export const flagAllowed = 'true or false';

export const gro = z.boolean(flagAllowed).meta({
  description: 'Join TCP frames of one flow in one burst, if the port accepts super-frames.',
});
