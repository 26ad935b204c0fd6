import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { onFailure } from '../background.ts';
import { EPOLL_CTL_MOD, EPOLLHUP, EPOLLIN, EPOLLOUT, SHUT_RDWR } from './constants.ts';
import { createEventFd, drainEventFd, raiseEventFd } from './event-fd.ts';
import { c } from './libc.ts';
import { PollLoop, THROWS_MAX } from './poll-loop.ts';
import { Poller } from './poller.ts';
import { createSocketPair, receiveMessage, sendMessage } from './unix-socket.ts';

let poller: Poller;
let ours = -1;
let theirs = -1;

beforeEach(() => {
  poller = new Poller();
  [ours, theirs] = createSocketPair();
});

afterEach(() => {
  poller.remove(ours);
  for (const fd of [ours, theirs]) if (fd >= 0) c.close(fd);
  poller.close();
});

/** The events of the next call of the listener on `fd`. */
function nextEvents(fd: number): Promise<number> {
  return new Promise((resolve) => {
    poller.add(fd, (events) => {
      poller.remove(fd);
      resolve(events);
    });
  });
}

describe('a poller', () => {
  it('reports when there is something to read', async () => {
    const readable = nextEvents(ours);
    sendMessage(theirs, Uint8Array.of(1));
    expect(await readable).toBe(EPOLLIN);
  });

  it('is level-triggered: what is not read is reported again', async () => {
    sendMessage(theirs, Uint8Array.of(1));
    expect(await nextEvents(ours)).toBe(EPOLLIN);
    expect(await nextEvents(ours)).toBe(EPOLLIN);
  });

  it('reports a hang-up even while reading is paused', async () => {
    const events = nextEvents(ours);
    poller.watch(ours, { read: false, write: false });
    sendMessage(theirs, Uint8Array.of(1));
    c.close(theirs);
    theirs = -1;
    expect(await events).toBe(EPOLLHUP);
  });

  it('reports on request when there is room to write', async () => {
    const events = nextEvents(ours);
    poller.watch(ours, { read: false, write: true });
    expect(await events).toBe(EPOLLOUT);
  });

  it('continues after a listener throws, for others and for that one', async () => {
    const failures: string[] = [];
    const stop = onFailure(({ error }) => failures.push(error.message));
    const [second, peer] = createSocketPair();
    let calls = 0;
    const recovered = new Promise<void>((resolve) => {
      poller.add(ours, () => {
        calls += 1;
        if (calls === 1) throw new Error('once');
        poller.remove(ours);
        resolve();
      });
    });
    sendMessage(theirs, Uint8Array.of(1));
    sendMessage(peer, Uint8Array.of(1)); // in the same batch of events, after the one that throws
    await nextEvents(second);
    await recovered;
    stop();
    for (const fd of [second, peer]) c.close(fd);
    expect(failures).toEqual(['once']);
  });

  it('stops watching a descriptor whose listener always throws', async () => {
    let calls = 0;
    const given = new Promise<string>((resolve) => {
      const stop = onFailure(({ what, error }) => {
        if (what !== 'serve a descriptor') return;
        stop();
        resolve(error.message);
      });
    });
    poller.add(ours, () => {
      calls += 1;
      throw new Error('always');
    });
    sendMessage(theirs, Uint8Array.of(1));
    expect(await given).toBe(`its listener failed ${THROWS_MAX} times in a row`);
    expect(calls).toBe(THROWS_MAX);
  });

  it('does not call a listener removed by another one of the same batch', async () => {
    const [second, peer] = createSocketPair();
    const called: number[] = [];
    const done = new Promise<void>((resolve) => {
      const listener = (fd: number, other: number) => () => {
        called.push(fd);
        poller.remove(other);
        poller.remove(fd);
        setImmediate(resolve);
      };
      poller.add(ours, listener(ours, second));
      poller.add(second, listener(second, ours));
    });
    sendMessage(theirs, Uint8Array.of(1));
    sendMessage(peer, Uint8Array.of(1));
    await done;
    expect(called.length).toBe(1);
    for (const fd of [second, peer]) c.close(fd);
  });

  it('silently ignores the removal of an unknown descriptor', () => {
    poller.remove(12_345);
  });

  it('closes its descriptors', async () => {
    const before = openFdCount();
    const other = new Poller();
    expect(openFdCount()).toBe(before + 2);
    other.close();
    // Those of earlier tests may also disappear meanwhile.
    while (openFdCount() > before) await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('an eventfd', () => {
  it('is readable once raised, and not once drained', async () => {
    const fd = createEventFd();
    raiseEventFd(fd);
    expect(await nextEvents(fd)).toBe(EPOLLIN);
    drainEventFd(fd);
    raiseEventFd(-1);
    c.close(fd);
  });
});

describe('a waiting message', () => {
  it('is read without blocking, or not at all', () => {
    expect(receiveMessage(ours, 10).length).toBe(-1);
  });
});

describe('a held poller', () => {
  /** On the loop of another poller, which shows that the loop has looked. */
  async function untilLoopHasLooked(loop: PollLoop): Promise<void> {
    const fd = createEventFd();
    raiseEventFd(fd);
    await new Promise<void>((resolve) => loop.add(fd, () => resolve()));
    loop.remove(fd);
    c.close(fd);
  }

  it('reports and does nothing until it opens, and then everything', async () => {
    const loop = new PollLoop();
    const user = new Poller({ loop, isHeld: true });
    const seen: string[] = [];
    user.whenOpen(() => seen.push('work'));
    const heard = new Promise<void>((resolve) => {
      user.add(ours, (events) => {
        user.remove(ours);
        seen.push(`events ${events}`);
        resolve();
      });
    });
    user.watch(ours, { read: false, write: true });
    sendMessage(theirs, Uint8Array.of(1));
    await untilLoopHasLooked(loop);
    expect(seen).toEqual([]);
    user.open();
    expect(seen).toEqual(['work']);
    await heard;
    expect(seen).toEqual(['work', `events ${EPOLLOUT}`]);
    loop.close();
  });

  it('tells its listener of a hang-up when it opens, and needs no room for that', async () => {
    const loop = new PollLoop();
    const user = new Poller({ loop, isHeld: true });
    let isOpen = false;
    const heard = new Promise<boolean>((resolve) => {
      user.add(ours, () => {
        user.remove(ours);
        resolve(isOpen);
      });
    });
    c.shutdown(theirs, SHUT_RDWR);
    await untilLoopHasLooked(loop);
    await untilLoopHasLooked(loop);
    const control = vi.spyOn(c, 'epollControl');
    isOpen = true;
    user.open();
    expect(control.mock.calls.map(([, operation]) => operation)).toEqual([EPOLL_CTL_MOD]);
    control.mockRestore();
    expect(await heard).toBe(true);
    loop.close();
  });

  it('tells who is behind a work that fails when it opens', () => {
    const loop = new PollLoop();
    const user = new Poller({ loop, isHeld: true });
    const seen: string[] = [];
    const stopListening = onFailure(({ error }) => seen.push(`report: ${error.message}`));
    const fail = (): never => {
      throw new Error('no memory');
    };
    user.whenOpen(fail, (reason) => seen.push(`owner: ${reason}`));
    user.whenOpen(fail);
    user.whenOpen(() => seen.push('others'));
    user.open();
    stopListening();
    expect(seen).toEqual(['owner: no memory', 'report: no memory', 'report: no memory', 'others']);
    loop.close();
  });

  it('forgets what is removed meanwhile, and refuses what cannot be polled at once', async () => {
    const loop = new PollLoop();
    const user = new Poller({ loop, isHeld: true });
    expect(() => user.add(99_999, () => undefined)).toThrow('epoll_ctl failed: EBADF');
    let events = 0;
    user.add(ours, () => {
      events += 1;
    });
    user.remove(ours);
    sendMessage(theirs, Uint8Array.of(1));
    user.open();
    await untilLoopHasLooked(loop);
    expect(events).toBe(0);
    loop.close();
  });
});
