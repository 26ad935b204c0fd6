// Shared between a test and the processors' threads whose system calls it makes fail.

export const FAILING_CALLS_KEY = 'heddle/failing-calls';

/** The calls that can be made to fail, by their names in src/os/libc.ts. */
export const FAILING_CALLS = ['mmap', 'epollControl', 'epollCreate', 'socket', 'eventfd'] as const;

export type FailingCall = (typeof FAILING_CALLS)[number];

/** Words: 1 + the index of the failing call, or 0; the number of the one to fail; the count. */
export const FAILING = { CALL: 0, NUMBER: 1, COUNT: 2, SIZE: 3 } as const;
