import { fstatSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { ECONNREFUSED } from './constants.ts';
import { createEventFd } from './event-fd.ts';
import { c } from './libc.ts';
import { createMemoryFile } from './memory-file.ts';
import { SystemError } from './system-error.ts';
import {
  acceptUnixSocket,
  bindUnixSocket,
  connectUnixSocket,
  createSocketPair,
  createUnixSocket,
  listenUnixSocket,
  receiveMessage,
  SOCKET_PATH_LENGTH_MAX,
  sendMessage,
} from './unix-socket.ts';

const directory = mkdtempSync(join(tmpdir(), 'heddle-socket-'));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (words: string) => new TextEncoder().encode(words);

let fdsBefore = 0;
let left = -1;
let right = -1;

beforeEach(() => {
  fdsBefore = openFdCount();
  [left, right] = createSocketPair();
});

afterEach(() => {
  for (const fd of [left, right]) c.close(fd);
  expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
});

describe('a message', () => {
  it('carries its bytes', () => {
    expect(sendMessage(left, bytes('weft'))).toBe(4);
    const received = receiveMessage(right, 100);
    expect(text(received.bytes)).toBe('weft');
    expect(received).toMatchObject({ length: 4, fds: [], isTruncated: false });
  });

  it('carries descriptors, which arrive as new ones for the same files', () => {
    const files = [createMemoryFile('one', 4096), createMemoryFile('two', 8192), createEventFd()];
    sendMessage(left, bytes('x'), files);
    const { fds } = receiveMessage(right, 1);
    expect(fds.length).toBe(3);
    expect(fds.map((fd) => fstatSync(fd).ino)).toEqual(files.map((fd) => fstatSync(fd).ino));
    expect(fds.some((fd) => files.includes(fd))).toBe(false);
    for (const fd of [...files, ...fds]) c.close(fd);
  });

  it('carries an odd number of descriptors, and the most that the kernel accepts', () => {
    const file = createEventFd();
    for (const count of [1, 2, 7, 253]) {
      sendMessage(left, bytes('x'), new Array(count).fill(file));
      const received = receiveMessage(right, 1);
      expect([received.fds.length, received.isTruncated]).toEqual([count, false]);
      for (const fd of received.fds) c.close(fd);
    }
    expect(() => sendMessage(left, bytes('x'), new Array(254).fill(file))).toThrow(/^assertion/);
    c.close(file);
  });

  it('is read up to a length; the rest waits', () => {
    sendMessage(left, bytes('warp and weft'));
    expect(text(receiveMessage(right, 4).bytes)).toBe('warp');
    expect(text(receiveMessage(right, 100).bytes)).toBe(' and weft');
    expect(receiveMessage(right, 100).length).toBe(-1);
  });

  it('delivers its descriptors with its first byte', () => {
    const file = createEventFd();
    sendMessage(left, bytes('one'));
    sendMessage(left, bytes('two'), [file]);
    const first = receiveMessage(right, 3);
    expect([text(first.bytes), first.fds.length]).toEqual(['one', 0]);
    const second = receiveMessage(right, 3);
    expect([text(second.bytes), second.fds.length]).toEqual(['two', 1]);
    for (const fd of [file, ...second.fds]) c.close(fd);
  });

  it('whose descriptors do not fit in the process is marked truncated', () => {
    // The kernel closes descriptors that the receiver has no room for: here, no numbers are left.
    const file = createEventFd();
    const hoard: number[] = [];
    sendMessage(left, bytes('x'), [file, file, file]);
    for (;;) {
      const fd = c.eventfd(0, 0);
      if (fd === -1) break;
      hoard.push(fd);
      if (hoard.length > 100_000) break;
    }
    const isFull = hoard.length <= 100_000;
    c.close(hoard.pop() ?? -1);
    const received = receiveMessage(right, 1);
    for (const fd of [...hoard, ...received.fds, file]) c.close(fd);
    if (isFull) expect([received.fds.length, received.isTruncated]).toEqual([1, true]);
    else expect(received.fds.length).toBe(3);
  });

  it('reports the end of the stream', () => {
    c.close(left);
    expect(receiveMessage(right, 10)).toMatchObject({ length: 0, isTruncated: false });
    expect(() => sendMessage(right, bytes('x'))).toThrow(SystemError);
    left = c.socket(1, 1, 0);
  });

  it('to a peer that does not read never blocks', () => {
    const chunk = new Uint8Array(32768);
    let sent = 0;
    for (let i = 0; i < 1000 && sent !== -1; i++) sent = sendMessage(left, chunk);
    expect(sent).toBe(-1);
  });
});

describe('a path', () => {
  it('of the greatest length connects', () => {
    const path = join(directory, 'x'.repeat(SOCKET_PATH_LENGTH_MAX - directory.length - 1));
    expect(path.length).toBe(SOCKET_PATH_LENGTH_MAX);
    const listener = createUnixSocket();
    bindUnixSocket(listener, path);
    listenUnixSocket(listener);
    expect(acceptUnixSocket(listener)).toBe(-1);
    const client = createUnixSocket();
    expect(connectUnixSocket(client, path)).toBe(0);
    const server = acceptUnixSocket(listener);
    expect(server).toBeGreaterThan(0);
    for (const fd of [listener, client, server]) c.close(fd);
    const late = createUnixSocket();
    expect(connectUnixSocket(late, path)).toBe(ECONNREFUSED);
    c.close(late);
  });

  it('one byte longer is a bug in the caller', () => {
    const fd = createUnixSocket();
    const path = `/${'x'.repeat(SOCKET_PATH_LENGTH_MAX)}`;
    expect(() => bindUnixSocket(fd, path)).toThrow(/^assertion/);
    c.close(fd);
  });

  it('that cannot be bound gives the call and the reason', () => {
    const fd = createUnixSocket();
    expect(() => bindUnixSocket(fd, join(directory, 'no/such/place'))).toThrow(
      'bind failed: ENOENT',
    );
    c.close(fd);
  });
});
