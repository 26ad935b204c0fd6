import { guarded } from '../background.ts';
import { type Listener, PollLoop } from './poll-loop.ts';

interface Interest {
  read: boolean;
  write: boolean;
}

/** Receives the reason. */
type OnFailure = (reason: string) => void;

/** What happens once the poller is open. */
interface Held {
  readonly interests: Map<number, Interest>;
  readonly works: { work: () => void; onFailure: OnFailure }[];
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
    this.#held = isHeld ? { interests: new Map(), works: [] } : null;
  }

  /** Until then, nobody may read or write a descriptor that was taken over. */
  get isOpen(): boolean {
    return this.#held === null;
  }

  /** Calls `listener` whenever `fd` is readable, at its end, or (on request) writable. */
  add(fd: number, listener: Listener): void {
    if (this.#held === null) {
      this.#loop.add(fd, listener);
      return;
    }
    this.#loop.reserve(fd, listener);
    this.#held.interests.set(fd, { read: true, write: false });
  }

  /** Whether to also report that `fd` is writable, or to stop reading it for now. */
  watch(fd: number, interest: Interest): void {
    if (this.#held?.interests.has(fd) === true) this.#held.interests.set(fd, interest);
    else this.#loop.watch(fd, interest);
  }

  /**
   * Must be called before `fd` is closed, so that a reused number does not reach the old listener.
   */
  remove(fd: number): void {
    this.#held?.interests.delete(fd);
    this.#loop.remove(fd);
  }

  /**
   * Calls `work` now, or when the poller opens: for timers, and for what needs no event. If it
   * fails then, `onFailure` is called: nobody listens to the NIC yet, so a report is not enough.
   */
  whenOpen(work: () => void, onFailure: OnFailure = () => undefined): void {
    if (this.#held === null) work();
    else this.#held.works.push({ work, onFailure });
  }

  open(): void {
    const held = this.#held;
    this.#held = null;
    if (held === null) return;
    for (const [fd, interest] of held.interests) {
      guarded('watch a descriptor', () => this.#loop.watch(fd, interest));
    }
    for (const { work, onFailure } of held.works)
      guarded('continue after a hand-over', () => begin(work, onFailure));
  }

  close(): void {
    this.#loop.close();
  }
}

/** Throws what `work` throws, after it has told its owner. */
function begin(work: () => void, onFailure: OnFailure): void {
  try {
    work();
  } catch (error) {
    guarded('note a failure', () => onFailure((error as Error).message));
    throw error;
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
