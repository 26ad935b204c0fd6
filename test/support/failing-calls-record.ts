// What a test shares with the threads of processors whose system calls it makes fail.

export const FAILING_CALLS_KEY = 'heddle/failing-calls';

/** Those that can be made to fail, by their names in src/os/libc.ts. */
export const FAILING_CALLS = ['mmap', 'epollControl', 'epollCreate', 'socket', 'eventfd'] as const;

export type FailingCall = (typeof FAILING_CALLS)[number];

/** Words: 1 + the index of the call that fails, or 0; which one of them; how many there were. */
export const FAILING = { CALL: 0, NUMBER: 1, COUNT: 2, SIZE: 3 } as const;
