import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { createEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import { Poller } from '../os/poller.ts';
import { createSocketPair, receiveMessage, sendMessage } from '../os/unix-socket.ts';
import { Connection, type Message } from './connection.ts';
import { PAYLOAD_SIZE_MAX, writeMessage, writeU64 } from './message.ts';

const REQUEST = writeMessage(2, 0, writeU64(0x1122n));

let fdsBefore = 0;
const poller = new Poller();
let peer = -1;
let connection: Connection;
let messages: Message[];
let closeReason: string | null | undefined;
/** What the next messages' handlers wait for. */
let handling: Promise<void>;
let wake: () => void;

beforeEach(() => {
  fdsBefore = openFdCount();
  const [ours, theirs] = createSocketPair();
  peer = theirs;
  messages = [];
  closeReason = undefined;
  handling = Promise.resolve();
  wake = () => undefined;
  connection = new Connection(ours, poller, {
    onMessage: async (message) => {
      messages.push(message);
      wake();
      await handling;
    },
    onClose: (reason) => {
      closeReason = reason;
      wake();
    },
  });
});

afterEach(() => {
  connection.close(null);
  if (peer >= 0) c.close(peer);
  for (const fd of messages.flatMap((message) => message.fds)) c.close(fd);
  expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
});

afterAll(() => poller.close());

/** Resolves when `isThere` holds. Checks again at each message and at the end. */
async function until(isThere: () => boolean): Promise<void> {
  while (!isThere()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

function closePeer(): void {
  c.close(peer);
  peer = -1;
}

async function expectClosed(reason: string | null): Promise<void> {
  await until(() => closeReason !== undefined);
  expect(closeReason).toBe(reason);
  expect(connection.isClosed).toBe(true);
}

describe('framing', () => {
  it('assembles a message that arrives byte by byte', async () => {
    for (const byte of REQUEST) {
      sendMessage(peer, Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => messages.length === 1);
    expect(messages[0]?.header).toEqual({ request: 2, flags: 1, size: 8 });
    expect(messages[0]?.payload).toEqual(writeU64(0x1122n));
  });

  it('splits messages that arrive in one write', async () => {
    const second = writeMessage(1, 0, new Uint8Array(0));
    sendMessage(peer, Uint8Array.from([...REQUEST, ...second, ...REQUEST]));
    await until(() => messages.length === 3);
    expect(messages.map((message) => message.header.request)).toEqual([2, 1, 2]);
    expect(messages[1]?.payload.length).toBe(0);
  });

  it.each([
    ['the header', 0],
    ['the middle of the header', 5],
    ['the payload', 12],
    ['the last byte', 19],
  ])('accepts descriptors that come with %s', async (_, at) => {
    const fds = [createEventFd(), createEventFd()];
    if (at > 0) sendMessage(peer, REQUEST.subarray(0, at));
    sendMessage(peer, REQUEST.subarray(at), fds);
    for (const fd of fds) c.close(fd);
    await until(() => messages.length === 1);
    expect(messages[0]?.fds.length).toBe(2);
  });

  it('gives each message its own descriptors', async () => {
    const fd = createEventFd();
    sendMessage(peer, REQUEST);
    sendMessage(peer, REQUEST, [fd]);
    sendMessage(peer, REQUEST, [fd, fd]);
    c.close(fd);
    await until(() => messages.length === 3);
    expect(messages.map((message) => message.fds.length)).toEqual([0, 1, 2]);
  });

  it('reads the next message only once the last has been handled', async () => {
    let finish = () => {};
    handling = new Promise((resolve) => {
      finish = resolve;
    });
    sendMessage(peer, Uint8Array.from([...REQUEST, ...REQUEST]));
    await until(() => messages.length === 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(messages.length).toBe(1);
    finish();
    await until(() => messages.length === 2);
  });
});

describe('a peer is disconnected', () => {
  it('for a wrong version', async () => {
    const wrong = REQUEST.slice();
    wrong[4] = 2;
    sendMessage(peer, wrong);
    await expectClosed('it speaks version 2');
  });

  it('for a reply where a request belongs', async () => {
    const wrong = REQUEST.slice();
    wrong[4] = 5;
    sendMessage(peer, wrong);
    await expectClosed('it sent a reply where a request belongs');
  });

  it('for announcing too large a message, before the payload arrives', async () => {
    const header = new Uint8Array(12);
    new DataView(header.buffer).setUint32(4, 1, true);
    new DataView(header.buffer).setUint32(8, PAYLOAD_SIZE_MAX + 1, true);
    sendMessage(peer, header);
    await expectClosed(`it announced a message of ${PAYLOAD_SIZE_MAX + 1} bytes`);
  });

  it('but not for a message of the largest size', async () => {
    sendMessage(peer, writeMessage(1, 0, new Uint8Array(PAYLOAD_SIZE_MAX)));
    await until(() => messages.length === 1);
    expect(messages[0]?.payload.length).toBe(PAYLOAD_SIZE_MAX);
  });

  it('for sending descriptors without end, a byte at a time', async () => {
    const fd = createEventFd();
    const announced = writeMessage(1, 0, new Uint8Array(PAYLOAD_SIZE_MAX)).subarray(0, 40);
    const fds = Array.from({ length: 100 }, () => fd);
    for (const byte of announced.subarray(0, 3)) sendMessage(peer, Uint8Array.of(byte), fds);
    c.close(fd);
    await expectClosed('it sends descriptors without end');
  });

  it('and the descriptors of its unfinished message are closed', async () => {
    const fd = createEventFd();
    sendMessage(peer, REQUEST.subarray(0, 4), [fd, fd, fd]);
    c.close(fd);
    closePeer();
    await expectClosed(null);
  });

  it('for leaving a message unfinished for too long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const fd = createEventFd();
      sendMessage(peer, REQUEST.subarray(0, 13), [fd]);
      c.close(fd);
      while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
      vi.advanceTimersByTime(4999);
      expect(connection.isClosed).toBe(false);
      vi.advanceTimersByTime(1);
      await expectClosed('it left a message unfinished');
    } finally {
      vi.useRealTimers();
    }
  });

  it('for not reading its replies', async () => {
    const reply = writeMessage(1, 4, new Uint8Array(PAYLOAD_SIZE_MAX));
    for (let i = 0; i < 10_000 && !connection.isClosed; i++) connection.send(reply);
    await expectClosed('it reads no replies');
  });

  it('when a handler fails because of an error of ours', async () => {
    handling = Promise.reject(new Error('assertion: x'));
    handling.catch(() => undefined);
    sendMessage(peer, REQUEST);
    await expectClosed('assertion: x');
  });
});

describe('the end', () => {
  it('of the stream closes the connection without blaming the peer', async () => {
    closePeer();
    await expectClosed(null);
  });

  it('is noticed while a request is being handled', async () => {
    handling = new Promise(() => undefined);
    sendMessage(peer, REQUEST);
    await until(() => messages.length === 1);
    closePeer();
    await expectClosed(null);
  });

  it('is reported once, however often it is requested, and nothing is sent after it', () => {
    let ends = 0;
    const [ours, theirs] = createSocketPair();
    const other = new Connection(ours, poller, {
      onMessage: async () => undefined,
      onClose: () => {
        ends += 1;
      },
    });
    other.close('enough');
    other.close(null);
    other.send(REQUEST);
    expect(ends).toBe(1);
    expect(receiveMessage(theirs, 100).length).toBe(0);
    c.close(theirs);
  });
});

describe('a reply', () => {
  it('is sent in full', () => {
    connection.send(writeMessage(1, 4, writeU64(7n)));
    const { bytes } = receiveMessage(peer, 100);
    expect(Buffer.from(bytes).toString('hex')).toBe('0100000005000000080000000700000000000000');
  });
});
