import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from '../offload/feature-sets.ts';
import {
  difference,
  netHeaderBytes,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
} from '../offload/packets.ts';
import { finishedFrames } from '../offload/reference-frames.ts';
import { checkSame } from '../support/exchange.ts';
import { type FarEnd, openInterfaceEnd, openTapEnd } from '../support/far-end.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// The kernel strips the outer tag before a packet socket sees a frame, and reports it separately.
// Neither guest nor network may notice.

const FAR_MAC = '02:00:00:00:ff:01';
const FRAME_SIZE_MAX = 65_553;

const tagged = { type: 0x8100, control: 10 };
const CASES: readonly (readonly [what: string, tags: PacketShape['tags']])[] = [
  ['no tag', []],
  ['a tag', [tagged]],
  ['a tag with a priority', [{ type: 0x8100, control: (5 << 13) | 4094 }]],
  ['only a priority', [{ type: 0x8100, control: 7 << 13 }]],
  ['only an outer tag', [{ type: 0x88a8, control: 20 }]],
  ['an outer and an inner tag', [{ type: 0x88a8, control: 20 }, tagged]],
];

let lab: TestNic;
let guest: MockGuest;
let far: FarEnd;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(({ skip }) => {
  if (namespaceMissing !== undefined) return skip(namespaceMissing);
});

afterEach(async () => {
  if (namespaceMissing !== undefined) return;
  far?.close();
  await lab.finish();
  if (ip('link').includes('near')) ip('link delete near');
});

/** Both ends of a veth strip tags, while the owner of a TAP sees whole frames. */
async function open(kind: 'veth' | 'tap', features = PLAIN_FEATURES): Promise<void> {
  if (kind === 'tap') far = openTapEnd('near');
  else ip('link add near type veth peer name far');
  for (const name of kind === 'tap' ? ['near'] : ['near', 'far']) ip(`link set ${name} up`);
  lab = await TestNic.start({ vfs: 1 });
  guest = await lab.connect(0, { features, frameSizeMax: FRAME_SIZE_MAX, slots: 64 });
  await lab.nic.addUplink({ name: 'up', type: 'packet', interface: 'near' });
  if (kind === 'veth') far = openInterfaceEnd('far');
}

const shapeOf = (to: string, from: string, tags: PacketShape['tags'] = []): PacketShape => {
  return { to, from, version: 4, transport: 'tcp', tags, payloadLength: 1200 };
};

function send(made: Packet): void {
  expect(far.send(made.frame, netHeaderBytes(made.header, 10)), 'the kernel takes it').toBe(true);
}

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => lab.nic.stats().uplinks);
}

describe('frames from the network', () => {
  test.each(CASES)('reach a guest unchanged with %s', async (_, tags) => {
    await open('veth');
    const whole = finishedFrames(packet(shapeOf(lab.mac(0), FAR_MAC, tags)));
    const arrived = guest.waitReceived(1);
    far.send(whole[0] as Uint8Array);
    checkSame(await arrived, whole);
  });

  test.each(CASES)('reach a guest with %s and an incomplete checksum', async (_, tags) => {
    await open('veth');
    const made = packet(shapeOf(lab.mac(0), FAR_MAC, tags));
    const arrived = guest.waitReceived(1);
    send(made);
    checkSame(await arrived, finishedFrames(made));
  });

  test.each(CASES)('are segmented for a guest with %s in each segment', async (_, tags) => {
    await open('veth');
    const shape = { ...shapeOf(lab.mac(0), FAR_MAC, tags), payloadLength: 20_000 };
    const made = superPacket(shape, 1400);
    const expected = finishedFrames(made);
    const arrived = guest.waitReceived(expected.length);
    send(made);
    expect(difference(await arrived, expected)).toBe('');
  });
});

describe('frames to the network', () => {
  test.each(CASES)('arrive unchanged with %s', async (_, tags) => {
    await open('tap');
    const whole = finishedFrames(packet(shapeOf(FAR_MAC, lab.mac(0), tags)));
    await guest.sendAll(whole);
    await until(() => far.frames.length > 0);
    checkSame(far.frames, whole);
  });

  test.each(CASES)('stay whole with %s', async (_, tags) => {
    await open('tap', ALL_FEATURES);
    const shape = { ...shapeOf(FAR_MAC, lab.mac(0), tags), payloadLength: 60_000 };
    const made = superPacket(shape, 1400);
    guest.queues.pair(0).transmit.trySend(made.frame, 'random', netHeaderBytes(made.header));
    guest.flush();
    await until(() => far.frames.length > 0);
    checkSame(far.frames, [made.frame]);
  });
});
