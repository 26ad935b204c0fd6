/** What has to be undone, newest last. It grows while the demo runs, which may stop at any time. */
export type Cleanups = (() => Promise<unknown>)[];
