import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNic, type Nic } from '../../src/index.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { addressesOf } from './addresses.ts';
import { greet } from './loops.ts';
import { ping } from './ping.ts';
import { Port } from './port.ts';
import type { PortWork } from './protocol.ts';
import { share } from './share.ts';

const usual = { ringSize: 256, frameBytes: [60], chunks: null, hasHugePages: false };
/** Two pairs; of the second, one port has two queue pairs and the other floods all. */
const works: readonly PortWork[] = [
  { frameBytes: [60, 1500] },
  {},
  { queuePairs: 2 },
  { to: 'all', frameBytes: [1000] },
];

describe('ports that keep their rings full', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hb-test-'));
  const ports: Port[] = [];
  const frontEnds: FrontEnd[] = [];
  let nic: Nic;
  beforeAll(async () => {
    const vfs = works.map((_, port) => {
      return { name: `vm${port}`, socket: join(directory, `${port}`), queuePairs: 2 };
    });
    nic = await createNic({ name: 'nic0', vfs });
    for (const [port, { to, ...work }] of works.entries()) {
      const frontEnd = FrontEnd.connect(vfs[port]!.socket);
      frontEnds.push(frontEnd);
      const plan = { ...usual, superFrames: null, ...work, ...addressesOf(port, to) };
      ports.push(await Port.start(frontEnd, plan));
    }
    greet(ports);
  });
  afterAll(async () => {
    for (const frontEnd of frontEnds) frontEnd.close();
    await nic?.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const window = { warmUpSeconds: 0.1, seconds: 0.2, sampleMilliseconds: 10 };

  test('get what the switch gives them, in frames, bytes and intervals', () => {
    const answer = share(ports, { command: 'share', senders: [0, 2], ...window });
    const [mixed, small] = answer.senders;
    expect(answer.senders.map(({ port }) => port)).toEqual([0, 2]);
    expect(mixed!.bytes / mixed!.frames).toBeGreaterThan(700);
    expect(small!.bytes).toBe(60 * small!.frames);
    expect(mixed!.samples).toHaveLength(20);
    expect(answer.sampleSeconds.reduce((sum, one) => sum + one, 0)).toBeCloseTo(answer.seconds, 6);
    expect(answer.received[1]).toBeGreaterThan(0);
  });
  test('of several queue pairs, all rings are used', () => {
    share(ports, { command: 'share', senders: [2], ...window });
    for (const { sent, size } of ports[2]!.transmits) expect(sent).toBeGreaterThan(size);
  });
  test('a pair counts its own frames beside broadcasts', () => {
    const quiet = { pauseMicroseconds: 0, loadMpps: 0, busyFrames: 0, quantiles: [0.5] };
    const plan = { ...quiet, count: 20, floods: [3], secondsMax: 10, reactionMicroseconds: 5 };
    const { lost, quantiles, looks } = ping(ports, { command: 'ping', ...plan });
    // Whoever lacks its core for a while loses what others send meanwhile.
    expect(lost).toBeLessThan(5);
    expect(quantiles[0]).toBeGreaterThan(0);
    expect(looks).toBeGreaterThan(0);
  });
});
