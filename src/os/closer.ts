import { c } from './libc.ts';
import { NativePage } from './native-page.ts';

// Our page: the number of the thread that was made, and what threads are like.
const THREAD = 0;
const ATTRIBUTES = 128;

/** The C library keeps 40 MiB of stacks for later: so not many of these. */
const STACK_SIZE = 0x100000;

/** Closes under way at a time. What comes beyond stays open until some of them are done. */
const CLOSES_MAX = 256;
const RETRY_MS = 10;

/**
 * Closes the descriptors of peers. `close` may take long, or for ever: of a TCP socket with
 * SO_LINGER until its peer has read everything, of a file until the file system that serves it
 * answers, of a big memory file until all of its pages are free. No flag forbids that. So each has
 * a thread of its own, one that the C library starts and that runs nothing but `close`.
 */
class Closer {
  readonly #page = new NativePage();
  /** Those that have not come to their end, as far as we know. */
  #threads: number[] = [];
  #waiting: number[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor() {
    c.attributesInit(this.#page.address + ATTRIBUTES);
    c.attributesSetStackSize(this.#page.address + ATTRIBUTES, STACK_SIZE);
  }

  close(fds: readonly number[]): void {
    this.#threads = this.#threads.filter((thread) => c.threadTryJoin(thread, 0) !== 0);
    this.#waiting = [...this.#waiting, ...fds].filter((fd) => !this.#begin(fd));
    if (this.#waiting.length === 0 || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.close([]);
    }, RETRY_MS);
    this.#timer.unref();
  }

  settle(): void {
    while (this.#threads.length > 0) {
      for (const thread of this.#threads.splice(0)) c.threadJoin(thread, 0);
      this.close([]);
    }
  }

  #begin(fd: number): boolean {
    if (this.#threads.length >= CLOSES_MAX) return false;
    const { address, view } = this.#page;
    const error = c.threadCreate(address + THREAD, address + ATTRIBUTES, c.closeAddress, fd);
    if (error === 0) this.#threads.push(Number(view.getBigUint64(THREAD, true)));
    return error === 0;
  }
}

let closer: Closer | null = null;

/** Closes a descriptor that a peer chose, without waiting for it; −1 stands for none. */
export function closePeerFd(fd: number): void {
  if (fd >= 0) closePeerFds([fd]);
}

export function closePeerFds(fds: readonly number[]): void {
  if (fds.length === 0) return;
  closer ??= new Closer();
  closer.close(fds);
}

/** For tests that count descriptors: returns when all are closed, however long that takes. */
export function awaitCloses(): void {
  closer?.settle();
}
