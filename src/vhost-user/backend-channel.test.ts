import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { createEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { acquirePoller, type Poller, releasePoller } from '../os/poller.ts';
import { createSocketPair, receiveMessage, sendMessage } from '../os/unix-socket.ts';
import { BackendChannel } from './backend-channel.ts';
import { FLAG_NEED_REPLY, FLAG_REPLY, readHeader, writeMessage, writeU64 } from './message.ts';

const NOTHING = new Uint8Array(0);
const REQUEST = 1;
const F_DUPFD_CLOEXEC = 1030;

describe('the channel for back-end requests', () => {
  let poller: Poller;
  let fdsBefore: number;
  let channel: BackendChannel;
  let theirs: number;

  beforeAll(() => {
    poller = acquirePoller();
  });

  afterAll(releasePoller);

  beforeEach(() => {
    fdsBefore = openFdCount();
    const [ours, other] = createSocketPair();
    theirs = other;
    channel = new BackendChannel(ours, poller);
  });

  afterEach(() => {
    channel.close();
    c.close(theirs);
    expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
  });

  it('sends what was saved only when its NIC is certain to continue', async () => {
    const [ours, peer] = createSocketPair();
    const held = acquirePoller({ isHeld: true });
    const restored = new BackendChannel(ours, held);
    const saved = { unsent: Uint8Array.of(1, 2, 3), received: NOTHING, awaited: [] };
    restored.restore({ fd: ours, ...saved }, () => () => undefined);
    expect(receiveMessage(peer, 10).length).toBe(-1);
    held.open();
    await waitUntil(
      () => receiveMessage(peer, 10).length === 3,
      () => restored.save(),
    );
    restored.close();
    c.close(peer);
    releasePoller();
  });

  function ask(): Promise<bigint | null> {
    return new Promise((resolve) => channel.send(REQUEST, writeU64(7n), resolve));
  }

  function answer(result: bigint): Uint8Array {
    return writeMessage(REQUEST, FLAG_REPLY, writeU64(result));
  }

  it('sends requests and passes the replies on in order', async () => {
    const answers = Promise.all([ask(), ask(), ask()]);
    const { bytes } = receiveMessage(theirs, 4096);
    expect(readHeader(bytes)).toMatchObject({ request: REQUEST, size: 8 });
    expect(readHeader(bytes).flags & FLAG_NEED_REPLY).toBe(FLAG_NEED_REPLY);
    const both = Buffer.concat([answer(0n), answer(1n), answer(2n)]);
    sendMessage(theirs, both.subarray(0, 25)); // in pieces, as they may arrive from a stream
    sendMessage(theirs, both.subarray(25));
    expect(await answers).toEqual([0n, 1n, 2n]);
  });

  it('resumes from its saved state: with half a reply, and with replies still to come', async () => {
    for (const key of [5n, 6n, 7n]) channel.send(REQUEST, writeU64(key), () => undefined, key);
    const all = Buffer.concat([answer(0n), answer(1n), answer(2n)]);
    const first = ask();
    sendMessage(theirs, all.subarray(0, 25));
    await expect.poll(() => channel.save()?.received.length).toBe(5);
    const state = channel.save();
    if (state === null) throw new Error('it is closed');
    expect(state.awaited).toEqual([6n, 7n, 0n]);

    const fd = c.fcntl(state.fd, F_DUPFD_CLOEXEC, 0);
    channel.close();
    expect(await first).toBeNull();
    channel = new BackendChannel(fd, poller);
    const answers: [bigint, bigint | null][] = [];
    channel.restore({ ...structuredClone(state), fd }, (key) => (result) => {
      answers.push([key, result]);
    });
    expect(channel.save()).toEqual({ ...state, fd });
    sendMessage(theirs, Buffer.concat([all.subarray(25), answer(3n)]));
    await expect
      .poll(() => answers)
      .toEqual([
        [6n, 1n],
        [7n, 2n],
        [0n, 3n],
      ]);
  });

  it('asks for no reply if none is wanted', () => {
    channel.send(REQUEST, NOTHING);
    expect(readHeader(receiveMessage(theirs, 4096).bytes).flags & FLAG_NEED_REPLY).toBe(0);
  });

  it.each([
    ['a reply to no request', writeMessage(REQUEST, FLAG_REPLY, writeU64(0n)), 0],
    ['a request', writeMessage(REQUEST, 0, writeU64(0n)), 1],
    ['a reply of the wrong size', writeMessage(REQUEST, FLAG_REPLY, new Uint8Array(9)), 1],
    ['nonsense', new Uint8Array(64).fill(0xff), 1],
  ] as const)('is closed by %s', async (_title, bytes, asked) => {
    const answers = Array.from({ length: asked }, ask);
    sendMessage(theirs, bytes);
    await expect.poll(() => channel.isClosed).toBe(true);
    expect(await Promise.all(answers)).toEqual(answers.map(() => null));
    expect(await ask(), 'and asks no more').toBeNull();
  });

  it('is closed when its other end closes', async () => {
    const asked = ask();
    c.close(theirs);
    expect(await asked).toBeNull();
    theirs = createEventFd(); // for afterEach
    expect(channel.isClosed).toBe(true);
  });

  it('queues a limited amount for a front-end that does not read, and drops the rest', async () => {
    const answers = Array.from({ length: 40_000 }, ask);
    const last = await answers.at(-1);
    expect(last).toBeNull();
    channel.close();
    expect(new Set(await Promise.all(answers))).toEqual(new Set([null]));
  });

  it('refuses a descriptor that cannot be polled', () => {
    const file = createMemoryFile('file', 4096);
    expect(() => new BackendChannel(file, poller)).toThrow('epoll_ctl');
    c.close(file);
  });
});
