import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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
