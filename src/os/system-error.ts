import { getSystemErrorName } from 'node:util';
import { errno } from './libc.ts';

/** ENOENT and the like. */
export function errorName(number: number): string {
  return getSystemErrorName(-number);
}

/** A failed system call that the caller has no specific error for. */
export class SystemError extends Error {
  readonly code: string;
  readonly errno: number;

  constructor(call: string, number: number) {
    const code = errorName(number);
    super(`${call} failed: ${code}`);
    this.name = 'SystemError';
    this.code = code;
    this.errno = number;
  }
}

/** Returns the result, or throws a SystemError if the call returned −1. */
export function checked(call: string, result: number): number {
  if (result === -1) throw new SystemError(call, errno());
  return result;
}
