import { guarded } from '../background.ts';
import { type Listener, PollLoop } from './poll-loop.ts';

interface Interest {
  read: boolean;
  write: boolean;
}

/** What happens once the poller is open. */
interface Held {
  readonly descriptors: Map<number, { listener: Listener; interest: Interest | null }>;
  readonly works: (() => void)[];
}

/**
 * The descriptors of one user, such as a NIC, in a poll loop that users may share.
 *
 * A NIC that is restored holds its poller: it has taken over sockets and timers of another NIC, but
 * touches none of them until it is certain to continue. If it fails before that, a second attempt
 * finds everything as it was.
 */
export class Poller {
  readonly #loop: PollLoop;
  #held: Held | null;

  constructor({ loop = new PollLoop(), isHeld = false } = {}) {
    this.#loop = loop;
    this.#held = isHeld ? { descriptors: new Map(), works: [] } : null;
  }

  /** Until then, nobody may read or write a descriptor that was taken over. */
  get isOpen(): boolean {
    return this.#held === null;
  }

  /** Calls `listener` whenever `fd` is readable, at its end, or (on request) writable. */
  add(fd: number, listener: Listener): void {
    this.#loop.add(fd, listener);
    if (this.#held === null) return;
    this.#loop.remove(fd); // that was to see whether it can be polled at all
    this.#held.descriptors.set(fd, { listener, interest: null });
  }

  /** Whether to also report that `fd` is writable, or to stop reading it for now. */
  watch(fd: number, interest: Interest): void {
    const held = this.#held?.descriptors.get(fd);
    if (held === undefined) this.#loop.watch(fd, interest);
    else held.interest = interest;
  }

  /**
   * Must be called before `fd` is closed, so that a reused number does not reach the old listener.
   */
  remove(fd: number): void {
    if (this.#held?.descriptors.delete(fd) !== true) this.#loop.remove(fd);
  }

  /** Calls `work` now, or when the poller opens: for timers, and for what needs no event. */
  whenOpen(work: () => void): void {
    if (this.#held === null) work();
    else this.#held.works.push(work);
  }

  open(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null) return;
    for (const [fd, { listener, interest }] of held.descriptors) {
      guarded('watch a descriptor', () => {
        this.#loop.add(fd, listener);
        if (interest !== null) this.#loop.watch(fd, interest);
      });
    }
    for (const work of held.works) guarded('continue', work);
  }

  close(): void {
    this.#loop.close();
  }
}

let shared: PollLoop | null = null;
let sharedUsers = 0;

/**
 * A poller on the loop of this process. Each loop occupies a thread of Node's pool (four by
 * default, which file access needs too), so all NICs of a process share one. Release it as often as
 * it was acquired.
 */
export function acquirePoller(options: { isHeld?: boolean } = {}): Poller {
  shared ??= new PollLoop();
  sharedUsers += 1;
  return new Poller({ ...options, loop: shared });
}

export function releasePoller(): void {
  sharedUsers -= 1;
  if (sharedUsers > 0) return;
  shared?.close();
  shared = null;
}
