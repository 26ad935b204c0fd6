import { later } from '../background.ts';
import { c } from './libc.ts';
import { NativePage } from './native-page.ts';

// Layout of our page: the id of a new thread, and the thread attributes.
const THREAD = 0;
const ATTRIBUTES = 128;

/** The C library caches 40 MiB of stacks, so we use few of these. */
const STACK_SIZE = 0x100000;

/** Closes in progress at a time per owner. Further descriptors stay open until one is done. */
const CLOSES_MAX = 16;
const RETRY_MS = 10;

/** If no close has finished for this long while others wait, the owner is asked to send no more. */
const STUCK_MS = 1000;

/**
 * An owner of descriptors to be closed, such as a VF. An owner whose descriptors cannot be closed
 * uses up its own closes, and nobody else's.
 */
export class CloseAccount {
  /** Threads that have not finished, as far as we know. */
  #threads: number[] = [];
  #waiting: number[] = [];
  /** When a close last finished, or the first began to wait. */
  #movedAt = 0;
  #isStuck = false;
  readonly #onStuck: (reason: string) => void;

  /** `onStuck`: accept no more descriptors while `isStuck` is true. */
  constructor(onStuck: (reason: string) => void) {
    this.#onStuck = onStuck;
  }

  /** Its closes do not finish. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  get isIdle(): boolean {
    return this.#threads.length === 0 && this.#waiting.length === 0 && !this.#isStuck;
  }

  /** Starts as many closes as there is room for. True if others wait. */
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

  /** Tells the owner, once, after it has been stuck for some time. */
  tell(): void {
    const { length } = this.#waiting;
    const count = length + this.#threads.length;
    const isStuck = length > 0 && performance.now() - this.#movedAt > STUCK_MS;
    const isNews = isStuck && !this.#isStuck;
    this.#isStuck = length > 0 && (isStuck || this.#isStuck);
    if (isNews)
      this.#onStuck(
        `${count} descriptors from its peer cannot be closed: no more are accepted for now`,
      );
  }

  /** Waits for the closes in progress. */
  join(): void {
    for (const thread of this.#threads.splice(0)) c.threadJoin(thread, 0);
  }
}

/**
 * Closes descriptors that came from peers. `close` may take long, or for ever: on a TCP socket with
 * SO_LINGER until the peer has read everything, on a file until the file system that serves it
 * answers, on a big memory file until all of its pages are freed. No flag prevents that. So each
 * close runs in a thread of its own, started by the C library, that runs nothing else.
 */
class Closer {
  readonly #page = new NativePage();
  /** For descriptors that nobody has claimed. */
  readonly #others = new CloseAccount(() => undefined);
  readonly #owners = new Map<number, CloseAccount>();
  /** Accounts with descriptors waiting or being closed. */
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
    this.#timer = later('close descriptors of front-ends', RETRY_MS, () => {
      this.#timer = null;
      const isWaiting = this.#goOn();
      for (const account of this.#accounts) account.tell();
      if (isWaiting) this.#schedule();
    });
    this.#timer.unref();
  }

  /** Joins finished closes of all owners and starts those there is room for. True if some wait. */
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

  /** The thread that closes a descriptor; null if no more threads can be created now. */
  readonly #begin = (fd: number): number | null => {
    const { address, view } = this.#page;
    const error = c.threadCreate(address + THREAD, address + ATTRIBUTES, c.closeAddress, fd);
    return error === 0 ? Number(view.getBigUint64(THREAD, true)) : null;
  };
}

let closer: Closer | null = null;

/** Records the owner of a descriptor until it is closed here. */
export function claimPeerFd(fd: number, account: CloseAccount): void {
  closer ??= new Closer();
  closer.own(fd, account);
}

/** Descriptors that arrived on a connection belong to the same peer. */
export function claimAlike(fds: readonly number[], connection: number): void {
  closer?.ownAlike(fds, connection);
}

/** Closes a descriptor chosen by a peer, without waiting; −1 means none. */
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
