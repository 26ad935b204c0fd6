import { getSystemErrorName } from 'node:util';
import { errno } from './libc.ts';

/** ENOENT and its like. */
export function errorName(number: number): string {
  return getSystemErrorName(-number);
}

/** A system call that failed for a reason the caller has no own word for. */
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

/** Passes a result on, or throws the SystemError of the call that returned −1. */
export function checked(call: string, result: number): number {
  if (result === -1) throw new SystemError(call, errno());
  return result;
}
