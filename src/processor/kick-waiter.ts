import { Alarm } from '../os/alarm.ts';
import {
  EINTR,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
} from '../os/constants.ts';
import { controlEpoll, EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../os/epoll.ts';
import { c, errno } from '../os/libc.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import { checked, SystemError } from '../os/system-error.ts';

const EVENT_COUNT_MAX = 64;

/**
 * Sleeps until a guest kicks or the control plane rings the doorbell. Edge-triggered: every write
 * to an eventfd is an event, so the counters need not be read, and the cost does not grow with the
 * number of rings.
 */
export class KickWaiter {
  readonly #events = new LinearMemory(65536);
  readonly #epoll = checked('epoll_create1', c.epollCreate(EPOLL_CLOEXEC));
  readonly #view = new DataView(this.#events.buffer);
  readonly #ringsByFd = new Map<number, number>();
  #alarm: Alarm | null = null;

  constructor(wakeFd: number) {
    try {
      this.#alarm = new Alarm();
      for (const fd of [wakeFd, this.#alarm.fd]) {
        controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  add(fd: number, ring: number): void {
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET);
    this.#ringsByFd.set(fd, ring);
  }

  remove(ring: number): void {
    for (const [fd, owner] of this.#ringsByFd) {
      if (owner !== ring) continue;
      this.#ringsByFd.delete(fd);
      controlEpoll(this.#epoll, EPOLL_CTL_DEL, fd, 0);
    }
  }

  /** Waits for a descriptor of an uplink. Its events are reported under a token below −1. */
  watch(fd: number, token: number, events: number): void {
    controlEpoll(this.#epoll, EPOLL_CTL_ADD, fd, events);
    this.#ringsByFd.set(fd, token);
  }

  change(fd: number, events: number): void {
    controlEpoll(this.#epoll, EPOLL_CTL_MOD, fd, events);
  }

  /**
   * Call it before `fd` is closed, so that a reused descriptor number does not find the old token.
   */
  unwatch(fd: number): void {
    if (!this.#ringsByFd.delete(fd)) return;
    controlEpoll(this.#epoll, EPOLL_CTL_DEL, fd, 0);
  }

  /** Ends the next wait after so many microseconds, unless it is −1. */
  setAlarm(microseconds: number): void {
    this.#alarm?.set(microseconds);
  }

  /**
   * Sleeps for at most `milliseconds` (−1: no limit). Returns the number of events for `kicked`.
   */
  wait(milliseconds: number): number {
    const count = c.epollWait(this.#epoll, this.#events.base, EVENT_COUNT_MAX, milliseconds);
    if (count >= 0) return count;
    if (errno() === EINTR) return 0;
    throw new SystemError('epoll_wait', errno());
  }

  /**
   * The ring whose guest kicked, −1 for the control plane's doorbell and the alarm, or the token of
   * an uplink.
   */
  kicked(index: number): number {
    const at = index * EPOLL_EVENT_SIZE + EPOLL_EVENT_DATA;
    return this.#ringsByFd.get(this.#view.getUint32(at, true)) ?? -1;
  }

  /** What happened, as epoll flags. */
  eventsOf(index: number): number {
    return this.#view.getUint32(index * EPOLL_EVENT_SIZE, true);
  }

  close(): void {
    this.#alarm?.close();
    c.close(this.#epoll);
  }
}
