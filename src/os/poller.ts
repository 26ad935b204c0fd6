import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
} from './constants.ts';
import { createEventFd, drainEventFd, raiseEventFd } from './event-fd.ts';
import { c } from './libc.ts';
import { LinearMemory } from './linear-memory.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

const EVENT_COUNT_MAX = 64;
/** struct epoll_event is packed on x86-64, and on no other architecture. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;
const EVENT_DATA = process.arch === 'x64' ? 4 : 8;

/** Writes a struct epoll_event to scratch and registers, changes or removes a descriptor. */
export function controlEpoll(epoll: number, operation: number, fd: number, events: number): void {
  scratch.view.setUint32(0, events, true);
  scratch.view.setBigUint64(EVENT_DATA, BigInt(fd), true);
  checked('epoll_ctl', c.epollControl(epoll, operation, fd, scratch.address));
}

type Listener = (events: number) => void;

/**
 * Readiness of raw descriptors for a Node event loop: one `epoll_wait` waits in a thread of the pool, and
 * its results are handed to the listeners on the loop. Level-triggered.
 */
export class Poller {
  readonly #epoll = checked('epoll_create1', c.epollCreate(EPOLL_CLOEXEC));
  readonly #wake = createEventFd();
  readonly #events = new LinearMemory(65536);
  readonly #view = new DataView(this.#events.buffer);
  readonly #listeners = new Map<number, Listener>();
  #isClosed = false;

  constructor() {
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, this.#wake, EPOLLIN);
    this.#wait();
  }

  /** Calls `listener` whenever `fd` is readable, at its end, or (on request) writable. */
  add(fd: number, listener: Listener): void {
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
    this.#listeners.set(fd, listener);
  }

  /** Whether to report that `fd` is writable too, or to stop reading it for now. */
  watch(fd: number, interest: { read: boolean; write: boolean }): void {
    const events = (interest.read ? EPOLLIN : 0) | (interest.write ? EPOLLOUT : 0);
    controlEpoll(this.#epoll, EPOLL_CTL_MOD, fd, events);
  }

  /** To be called before `fd` is closed, so that a reused number meets no old listener. */
  remove(fd: number): void {
    if (!this.#listeners.delete(fd)) return;
    controlEpoll(this.#epoll, EPOLL_CTL_DEL, fd, 0);
  }

  close(): void {
    this.#isClosed = true;
    raiseEventFd(this.#wake);
  }

  #wait(): void {
    c.epollWaitAsync(this.#epoll, this.#events.base, EVENT_COUNT_MAX, -1, (error, count) => {
      if (error !== null) throw error;
      if (this.#isClosed) {
        c.close(this.#epoll);
        c.close(this.#wake);
        return;
      }
      try {
        this.#dispatch(count);
      } finally {
        this.#wait();
      }
    });
  }

  #dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const fd = Number(this.#view.getBigUint64(i * EVENT_SIZE + EVENT_DATA, true));
      if (fd === this.#wake) drainEventFd(fd);
      // A listener earlier in this loop may have removed a later one.
      else this.#listeners.get(fd)?.(this.#view.getUint32(i * EVENT_SIZE, true));
    }
  }
}
