import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindDatagramSocket } from './datagram-socket.ts';
import { c } from './libc.ts';
import { removeStaleSocket } from './stale-socket.ts';
import {
  acceptUnixSocket,
  bindUnixSocket,
  createUnixSocket,
  listenUnixSocket,
} from './unix-socket.ts';

describe('a file where a socket is to be bound', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-'));
    path = join(directory, 'socket');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  function bindStream(): number {
    const fd = createUnixSocket();
    bindUnixSocket(fd, path);
    return fd;
  }

  it.each([
    ['stream', bindStream],
    ['datagram', () => bindDatagramSocket(path)],
  ])('is removed if it is a %s socket without an owner, and otherwise left', (_, bind) => {
    expect(removeStaleSocket(path)).toBe('nothing');
    const fd = bind();
    expect(removeStaleSocket(path)).toBe('live');
    expect(existsSync(path)).toBe(true);
    c.close(fd);
    expect(removeStaleSocket(path)).toBe('stale');
    expect(existsSync(path)).toBe(false);
  });

  it('is not disturbed: a listener there sees no connection', () => {
    const fd = bindStream();
    listenUnixSocket(fd);
    expect(removeStaleSocket(path)).toBe('live');
    expect(acceptUnixSocket(fd)).toBe(-1);
    c.close(fd);
  });

  it('is left if it is a file or a link to a socket', () => {
    writeFileSync(path, 'precious');
    expect(removeStaleSocket(path)).toBe('no socket');
    rmSync(path);
    const link = join(directory, 'link');
    symlinkSync(path, link);
    c.close(bindStream());
    expect(removeStaleSocket(link)).toBe('no socket');
    expect([existsSync(link), existsSync(path)]).toEqual([true, true]);
  });
});
