import { guarded, reportFailure } from '../background.ts';
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLOUT,
} from './constants.ts';
import { closeFd } from './descriptor.ts';
import { controlEpoll, EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from './epoll.ts';
import { createEventFd, drainEventFd, raiseEventFd } from './event-fd.ts';
import { c } from './libc.ts';
import { LinearMemory } from './linear-memory.ts';
import { checked } from './system-error.ts';

const EVENT_COUNT_MAX = 64;
/** A listener that throws this often in a row is no longer called; it would only spin. */
export const THROWS_MAX = 16;
export type Listener = (events: number) => void;

/**
 * Readiness of raw descriptors for a Node event loop: one `epoll_wait` blocks in a pool thread, and
 * its results are passed to the listeners on the loop. Level-triggered.
 */
export class PollLoop {
  readonly #events = new LinearMemory(65536);
  readonly #epoll: number;
  readonly #wake: number;
  readonly #view = new DataView(this.#events.buffer);
  readonly #listeners = new Map<number, Listener>();
  readonly #reserved = new Set<number>();
  /** How often in a row the listener of a descriptor has thrown. */
  readonly #throws = new Map<number, number>();
  #isClosed = false;

  constructor() {
    this.#epoll = checked('epoll_create1', c.epollCreate(EPOLL_CLOEXEC));
    let wake = -1;
    try {
      wake = createEventFd();
      controlEpoll(this.#epoll, EPOLL_CTL_ADD, wake, EPOLLIN);
    } catch (error) {
      closeFd(wake);
      c.close(this.#epoll);
      throw error;
    }
    this.#wake = wake;
    process.once('exit', this.#leave);
    this.#wait();
  }

  /** Calls `listener` whenever `fd` is readable, at its end, or (on request) writable. */
  add(fd: number, listener: Listener): void {
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    this.#listeners.set(fd, listener);
  }

  /** Like `add`, but calls nobody before `watch` is called. */
  reserve(fd: number, listener: Listener): void {
    // Without EPOLLONESHOT, a hang-up would be reported again and again.
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLONESHOT);
    this.#listeners.set(fd, listener);
    this.#reserved.add(fd);
  }

  /** Whether to also report that `fd` is writable, or to stop reading it for now. */
  watch(fd: number, interest: { read: boolean; write: boolean }): void {
    const events = (interest.read ? EPOLLIN : 0) | (interest.write ? EPOLLOUT : 0);
    controlEpoll(this.#epoll, EPOLL_CTL_MOD, fd, events);
    this.#reserved.delete(fd);
  }

  /**
   * Must be called before `fd` is closed, so that a reused number does not reach the old listener.
   */
  remove(fd: number): void {
    this.#throws.delete(fd);
    this.#reserved.delete(fd);
    if (!this.#listeners.delete(fd)) return;
    controlEpoll(this.#epoll, EPOLL_CTL_DEL, fd, 0);
  }

  close(): void {
    process.off('exit', this.#leave);
    this.#isClosed = true;
    this.#leave();
  }

  /** Node joins its threads when it exits; this wakes ours so that it returns. */
  readonly #leave = (): void => raiseEventFd(this.#wake);

  #wait(): void {
    c.epollWaitAsync(this.#epoll, this.#events.base, EVENT_COUNT_MAX, -1, (error, count) => {
      if (error !== null) throw error;
      if (this.#isClosed) {
        c.close(this.#epoll);
        c.close(this.#wake);
        return;
      }
      this.#dispatch(count);
      this.#wait();
    });
  }

  #dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const fd = Number(this.#view.getBigUint64(i * EPOLL_EVENT_SIZE + EPOLL_EVENT_DATA, true));
      if (fd === this.#wake) drainEventFd(fd);
      // A listener called earlier in this loop may have removed a later one.
      else this.#tell(fd, this.#view.getUint32(i * EPOLL_EVENT_SIZE, true));
    }
  }

  /** A listener that throws must not affect the events of others. */
  #tell(fd: number, events: number): void {
    const listener = this.#listeners.get(fd);
    if (listener === undefined || this.#reserved.has(fd)) return;
    if (guarded('handle an event of a descriptor', () => listener(events))) {
      if (this.#throws.size > 0) this.#throws.delete(fd);
      return;
    }
    const throws = (this.#throws.get(fd) ?? 0) + 1;
    this.#throws.set(fd, throws);
    if (throws < THROWS_MAX || this.#listeners.get(fd) !== listener) return;
    guarded('stop watching a descriptor', () => this.remove(fd));
    reportFailure('serve a descriptor', new Error(`its listener failed ${throws} times in a row`));
  }
}
