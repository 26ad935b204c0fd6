import { fstatSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Poller } from '../os/poller.ts';
import { VdeSource } from './vde.ts';

/** The whole request for a port: three words, the address and the description. */
const REQUEST_SIZE = 12 + 110 + 128;

let socket: string;
let poller: Poller;
let source: VdeSource;
let server: Server;

/** A switch that accepts connections, and then does as it is told. */
async function serve(onRequest: (peer: Socket) => void): Promise<void> {
  server = createServer((peer) => {
    let length = 0;
    peer.on('error', () => undefined); // it may be closed with an answer unread
    peer.on('data', (data) => {
      length += data.length;
      if (length === REQUEST_SIZE) onRequest(peer);
    });
  });
  await new Promise<void>((resolve) => server.listen(join(socket, 'ctl'), resolve));
}

beforeEach(() => {
  socket = mkdtempSync(join(tmpdir(), 'heddle-vde-'));
  poller = new Poller();
  source = new VdeSource({ socket, mtu: 1500 }, poller);
});

afterEach(async () => {
  vi.useRealTimers();
  await source.stop();
  poller.close();
  server.close();
  rmSync(socket, { recursive: true });
});

test('a switch that does not answer is an error after some seconds, and nothing is left', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const ended: Promise<void>[] = [];
  await serve((peer) => {
    ended.push(new Promise((resolve) => peer.once('end', resolve)));
  });
  const starting = source.start({ onUp: () => undefined, onDown: () => undefined });
  const refused = expect(starting).rejects.toMatchObject({
    code: 'HEDDLE_UPLINK_VDE',
    message: expect.stringContaining('no answer within 5 s'),
  });
  while (ended.length === 0) await new Promise((resolve) => setImmediate(resolve));
  vi.advanceTimersByTime(5000);
  await refused;
  expect(readdirSync(socket)).toEqual(['ctl']);
  await Promise.all(ended);
});

test('what was handed over while the switch is asked stays open', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const asked = new Promise<Socket>((resolve) => void serve(resolve));
  await vi.waitUntil(() => server.listening);
  void source.start({ onUp: () => undefined, onDown: () => undefined });
  const peer = await asked;
  source.handOver();
  const { fd, controlFd, path } = source.save();
  vi.advanceTimersByTime(10_000);
  peer.write(Buffer.alloc(110));
  await new Promise((resolve) => setImmediate(resolve));
  for (const one of [fd, controlFd]) expect(fstatSync(one).isSocket()).toBe(true);
  expect(statSync(path).isSocket()).toBe(true);
  const other = new VdeSource({ socket, mtu: 1500 }, poller);
  const listener = { onUp: () => undefined, onDown: () => undefined };
  const file = { fd: -1, pairs: 1, hasRingRoom: false };
  other.restore(listener, file, { fd, controlFd, path, isUp: true });
  source = other; // it closes them
});
