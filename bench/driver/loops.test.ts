import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNic, type Nic } from '../../src/index.ts';
import { FrontEnd } from '../../test/support/mock-driver/front-end.ts';
import { introduce, loop, offer, ping } from './loops.ts';
import { Port } from './port.ts';

const mac = (port: number) => Uint8Array.of(0x02, 0, 0, 0, 0x10, port);

describe('the driver on a NIC', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hb-test-'));
  const ports: Port[] = [];
  const frontEnds: FrontEnd[] = [];
  let nic: Nic;

  beforeAll(async () => {
    const vfs = [0, 1].map((port) => ({ name: `vm${port}`, socket: join(directory, `${port}`) }));
    nic = await createNic({ name: 'nic0', vfs });
    for (const [port, { socket }] of vfs.entries()) {
      const frontEnd = FrontEnd.connect(socket);
      frontEnds.push(frontEnd);
      const plan = {
        ...{ mac: mac(port), peerMac: mac(port ^ 1), ringSize: 256, frameBytes: [60, 1496] },
        // One in the usual place, one with its buffers scattered.
        ...{ chunks: port === 0 ? null : 4, hasHugePages: false },
      };
      ports.push(await Port.start(frontEnd, plan));
    }
    introduce(ports);
  });
  afterAll(async () => {
    for (const frontEnd of frontEnds) frontEnd.close();
    await nic?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('moves frames round without a loss', () => {
    const answer = loop(ports, { ...{ command: 'loop', framesInFlight: 64 }, ...short });
    expect(answer.mpps).toBeGreaterThan(0);
    expect(answer.framesLost).toBe(0);
  });
  test('asks and is answered', () => {
    const question = { count: 50, pauseMicroseconds: 0, loadMpps: 0, quantiles: [0.5, 1] };
    const { quantiles, lost } = ping(ports, { command: 'ping', ...question });
    expect(lost).toBe(0);
    expect(quantiles[0]).toBeGreaterThan(0);
    expect(quantiles[1]).toBeGreaterThanOrEqual(quantiles[0]!);
  });
  test('offers what it was asked to, and each frame arrives or is refused', () => {
    const answer = offer(ports, { command: 'offer', mpps: 0.01, seconds: 0.1 });
    expect(answer.offered).toBeGreaterThan(0);
    expect(answer.offered).toBeLessThanOrEqual(1001);
    expect(answer.delivered + answer.refused).toBe(answer.offered);
  });
});

const short = { warmUpSeconds: 0.02, seconds: 0.05 };
