import { mkdtempSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bindDatagramSocket, createDatagramSocket } from './datagram-socket.ts';
import { c } from './libc.ts';
import { connectUnixSocket, sendMessage } from './unix-socket.ts';

const [major = 0, minor = 0] = release().split('.').map(Number);
const refusesRights = major > 6 || (major === 6 && minor >= 16);
it('a datagram socket accepts bytes but no descriptors', (context) => {
  if (!refusesRights) context.skip(`Linux ${release()} has no SO_PASSRIGHTS (6.16)`);
  const directory = mkdtempSync(join(tmpdir(), 'heddle-'));
  const path = join(directory, 'socket');
  const socket = bindDatagramSocket(path);
  const peer = createDatagramSocket();
  expect(connectUnixSocket(peer, path)).toBe(0);
  expect(sendMessage(peer, Uint8Array.of(1))).toBe(1);
  expect(() => sendMessage(peer, Uint8Array.of(1), [peer])).toThrow('EPERM');
  for (const fd of [socket, peer]) c.close(fd);
  rmSync(directory, { recursive: true });
});
