/** What to undo, newest last. It grows while the demo runs, which may stop at any point. */
export type Cleanups = (() => Promise<unknown>)[];
