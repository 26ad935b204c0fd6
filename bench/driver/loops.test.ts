import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNic, type Nic } from '../../src/index.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { copy } from './copy.ts';
import { flood, introduce, loop, offer } from './loops.ts';
import { ping } from './ping.ts';
import { Port, type PortPlan } from './port.ts';

const mac = (port: number) => Uint8Array.of(0x02, 0, 0, 0, 0x10, port);

/** The plan of a port without its addresses. */
type Plan = Omit<PortPlan, 'mac' | 'peerMac'>;

const usual = { ringSize: 256, frameBytes: [60], hasHugePages: false, superFrames: null };

function onNic(plans: readonly Plan[]): readonly Port[] {
  const directory = mkdtempSync(join(tmpdir(), 'hb-test-'));
  const ports: Port[] = [];
  const frontEnds: FrontEnd[] = [];
  let nic: Nic;
  beforeAll(async () => {
    const vfs = plans.map((_, port) => ({ name: `vm${port}`, socket: join(directory, `${port}`) }));
    nic = await createNic({ name: 'nic0', vfs });
    for (const [port, { socket }] of vfs.entries()) {
      const frontEnd = FrontEnd.connect(socket);
      frontEnds.push(frontEnd);
      const addresses = { mac: mac(port), peerMac: mac(port ^ 1) };
      ports.push(await Port.start(frontEnd, { ...plans[port]!, ...addresses }));
    }
    introduce(ports);
  });
  afterAll(async () => {
    for (const frontEnd of frontEnds) frontEnd.close();
    await nic?.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return ports;
}

describe('the driver on a NIC', () => {
  const plan = { ...usual, frameBytes: [60, 1496] };
  // One port with contiguous buffers, one with scattered ones.
  const ports = onNic([
    { ...plan, chunks: null },
    { ...plan, chunks: 4 },
  ]);

  test('circulates frames without loss', () => {
    const answer = loop(ports, { ...{ command: 'loop', framesInFlight: 64 }, ...short });
    expect(answer.mpps).toBeGreaterThan(0);
    expect(answer.framesLost).toBe(0);
  });
  test('sends requests and gets replies', () => {
    const question = {
      count: 50,
      pauseMicroseconds: 0,
      loadMpps: 0,
      busyFrames: 0,
      floods: [],
      secondsMax: 10,
      reactionMicroseconds: 0,
      quantiles: [0.5, 1],
    };
    const { quantiles, lost } = ping(ports, { command: 'ping', ...question });
    expect(lost).toBe(0);
    expect(quantiles[0]).toBeGreaterThan(0);
    expect(quantiles[1]).toBeGreaterThanOrEqual(quantiles[0]!);
  });
  test('offers the requested rate, and each frame arrives or is refused', () => {
    const answer = offer(ports, { command: 'offer', mpps: 0.01, seconds: 0.1 });
    expect(answer.offered).toBeGreaterThan(0);
    expect(answer.offered).toBeLessThanOrEqual(1001);
    expect(answer.delivered + answer.refused).toBe(answer.offered);
  });
});

describe.each([4096, 65600])('super-frames into buffers of %i bytes', (receiveBufferBytes) => {
  const plan = { ...usual, chunks: null, superFrames: { receiveBufferBytes } };
  const ports = onNic([plan, plan]);

  test('circulate intact, without loss', () => {
    const answer = loop(ports, { ...{ command: 'loop', framesInFlight: 16 }, ...short });
    expect(answer.mpps).toBeGreaterThan(0);
    expect(answer.framesLost).toBe(0);
  });
  test('flow as fast as they are accepted', () => {
    expect(flood(ports, { command: 'flood', seconds: 0.05 }).framesPerSecond).toBeGreaterThan(0);
  });
});

test('copies without a switch', () => {
  const answer = copy({ command: 'copy', bufferBytes: 1000, buffers: 4, ...short });
  expect(answer.buffersPerSecond).toBeGreaterThan(0);
});

const short = { warmUpSeconds: 0.02, seconds: 0.05 };
