import { c } from './libc.ts';
import { NativePage } from './native-page.ts';

// Our page: the number of the thread that was made, and what threads are like.
const THREAD = 0;
const ATTRIBUTES = 128;

/** The C library keeps 40 MiB of stacks for later: so not many of these. */
const STACK_SIZE = 0x100000;

/** Closes under way at a time for one owner. What comes beyond stays open until one is done. */
const CLOSES_MAX = 16;
const RETRY_MS = 10;

/** If none has ended for so long while others wait, an owner is told to send us no more. */
const STUCK_MS = 1000;

/**
 * Whose descriptors are to be closed: a VF's, say. Who leaves us some that cannot be closed uses up
 * its own closes, and nobody else's.
 */
export class CloseAccount {
  /** Those that have not come to their end, as far as we know. */
  #threads: number[] = [];
  #waiting: number[] = [];
  /** When one ended, or the first began to wait. */
  #movedAt = 0;
  #isStuck = false;
  readonly #onStuck: (reason: string) => void;

  /** `onStuck`: no more descriptors should be taken, as long as `isStuck` says so. */
  constructor(onStuck: (reason: string) => void) {
    this.#onStuck = onStuck;
  }

  /** Its closes do not end. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  get isIdle(): boolean {
    return this.#threads.length === 0 && this.#waiting.length === 0 && !this.#isStuck;
  }

  /** Begins as many closes as there is room for. True if others wait. */
  close(fds: readonly number[], begin: (fd: number) => number | null): boolean {
    const running = this.#threads.filter((thread) => c.threadTryJoin(thread, 0) !== 0);
    const isMoving = running.length < this.#threads.length || this.#waiting.length === 0;
    if (isMoving) this.#movedAt = performance.now();
    this.#threads = running;
    this.#waiting = [...this.#waiting, ...fds].filter((fd) => {
      const thread = this.#threads.length < CLOSES_MAX ? begin(fd) : null;
      if (thread !== null) this.#threads.push(thread);
      return thread === null;
    });
    return this.#waiting.length > 0;
  }

  /** Tells its owner, once, when it has been stuck for some time. */
  tell(): void {
    const { length } = this.#waiting;
    const count = length + this.#threads.length;
    const isStuck = length > 0 && performance.now() - this.#movedAt > STUCK_MS;
    const isNews = isStuck && !this.#isStuck;
    this.#isStuck = length > 0 && (isStuck || this.#isStuck);
    if (isNews)
      this.#onStuck(`${count} descriptors of its peer cannot be closed: none is taken now`);
  }

  /** Waits until what is under way is done. */
  join(): void {
    for (const thread of this.#threads.splice(0)) c.threadJoin(thread, 0);
  }
}

/**
 * Closes the descriptors of peers. `close` may take long, or for ever: of a TCP socket with
 * SO_LINGER until its peer has read everything, of a file until the file system that serves it
 * answers, of a big memory file until all of its pages are free. No flag forbids that. So each has
 * a thread of its own, one that the C library starts and that runs nothing but `close`.
 */
class Closer {
  readonly #page = new NativePage();
  /** Of those that nobody has claimed. */
  readonly #others = new CloseAccount(() => undefined);
  readonly #owners = new Map<number, CloseAccount>();
  /** Those with descriptors that wait or that are being closed. */
  readonly #accounts = new Set<CloseAccount>();
  #timer: NodeJS.Timeout | null = null;

  constructor() {
    c.attributesInit(this.#page.address + ATTRIBUTES);
    c.attributesSetStackSize(this.#page.address + ATTRIBUTES, STACK_SIZE);
  }

  own(fd: number, account: CloseAccount): void {
    this.#owners.set(fd, account);
  }

  ownAlike(fds: readonly number[], other: number): void {
    const account = this.#owners.get(other);
    if (account === undefined) return;
    for (const fd of fds) this.#owners.set(fd, account);
  }

  close(fds: readonly number[]): void {
    const byAccount = new Map<CloseAccount, number[]>();
    for (const fd of fds) {
      const account = this.#owners.get(fd) ?? this.#others;
      this.#owners.delete(fd);
      byAccount.set(account, [...(byAccount.get(account) ?? []), fd]);
    }
    for (const account of byAccount.keys()) this.#accounts.add(account);
    if (this.#goOn(byAccount)) this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      const isWaiting = this.#goOn();
      for (const account of this.#accounts) account.tell();
      if (isWaiting) this.#schedule();
    }, RETRY_MS);
    this.#timer.unref();
  }

  /** Ends what is done, whoever's it is, and begins what there is room for. True if some wait. */
  #goOn(more = new Map<CloseAccount, number[]>()): boolean {
    let isWaiting = false;
    for (const account of this.#accounts) {
      if (account.close(more.get(account) ?? [], this.#begin)) isWaiting = true;
      if (account.isIdle) this.#accounts.delete(account);
    }
    return isWaiting;
  }

  settle(): void {
    while (this.#accounts.size > 0) {
      for (const account of this.#accounts) account.join();
      this.#goOn();
      for (const account of this.#accounts) account.tell();
    }
  }

  /** The thread that closes a descriptor; null: there can be no more threads for now. */
  readonly #begin = (fd: number): number | null => {
    const { address, view } = this.#page;
    const error = c.threadCreate(address + THREAD, address + ATTRIBUTES, c.closeAddress, fd);
    return error === 0 ? Number(view.getBigUint64(THREAD, true)) : null;
  };
}

let closer: Closer | null = null;

/** Notes whose descriptor this is, until it is closed here. */
export function claimPeerFd(fd: number, account: CloseAccount): void {
  closer ??= new Closer();
  closer.own(fd, account);
}

/** Those that came by a connection are the same peer's. */
export function claimAlike(fds: readonly number[], connection: number): void {
  closer?.ownAlike(fds, connection);
}

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
