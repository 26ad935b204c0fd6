import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { checkSame } from '../support/exchange.ts';
import { type FarEnd, openInterfaceEnd } from '../support/far-end.ts';
import { enterNamespace, ip, namespaceMissing, tc } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';
import { xdpMissing } from '../support/xdp.ts';

// The MTU does not include a VLAN tag of either type: frames of full size may have one.

const FAR_MAC = '02:00:00:00:ff:01';
const ADDRESSES_SIZE = 12;
const ETHERNET_SIZE = 14;
const TAG_SIZE = 4;
/** Frame length with a tag and the usual MTU. */
const FULL = 1500 + ETHERNET_SIZE + TAG_SIZE;
const CUSTOMER = 0x8100;
const SERVICE = 0x88a8;

let lab: TestNic;
let guest: MockGuest;
let far: FarEnd | undefined;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(({ skip }) => {
  if (namespaceMissing !== undefined) return skip(namespaceMissing);
});

afterEach(async () => {
  if (namespaceMissing !== undefined) return;
  far?.close();
  far = undefined;
  await lab?.finish();
  if (ip('link').includes('near')) ip('link delete near');
});

type Kind = 'tap' | 'packet' | 'xdp';

async function open(kind: Kind, mtu = 1500): Promise<void> {
  if (kind !== 'tap') {
    ip(`link add near mtu ${mtu} type veth peer name far mtu ${mtu}`);
    for (const name of ['near', 'far']) ip(`link set ${name} up`);
  }
  lab = await TestNic.start({ vfs: 2, vf: { mtu } });
  guest = await lab.connect(0, { frameSizeMax: mtu + ETHERNET_SIZE + 2 * TAG_SIZE, slots: 64 });
  const common = { name: 'up', interface: 'near' } as const;
  const config: UplinkConfigInput =
    kind === 'tap' ? { ...common, type: kind, mtu } : { ...common, type: kind };
  await lab.nic.addUplink(config);
  far = openInterfaceEnd(kind === 'tap' ? 'near' : 'far');
  await until(() => lab.nic.uplink('up').state === 'up');
}

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => [far?.frames.length, wire()]);
}

function wire() {
  const stats = lab.nic.stats().uplinks[0];
  if (stats === undefined) throw new Error('no uplink');
  return stats.wire;
}

function taggedFrame(length: number, types: readonly number[], seed: number): Uint8Array {
  const frame = plainFrame({ to: FAR_MAC, from: lab.mac(0) }, length, seed);
  const tags = types.flatMap((type) => [type >> 8, type & 0xff, 0, 10]);
  frame.set([...tags, 0x88, 0xb5], ADDRESSES_SIZE);
  return frame;
}

/** The frame as the far end sees it: for packet sockets, the kernel strips the outer tag. */
function received(frame: Uint8Array): Uint8Array {
  const stripped = new Uint8Array(frame.length - TAG_SIZE);
  stripped.set(frame.subarray(0, ADDRESSES_SIZE));
  stripped.set(frame.subarray(ADDRESSES_SIZE + TAG_SIZE), ADDRESSES_SIZE);
  return stripped;
}

async function sendAll(frames: readonly Uint8Array[]): Promise<void> {
  if (far === undefined) throw new Error('no far end');
  far.frames.length = 0;
  const before = wire().sent;
  await guest.sendAll(frames);
  await until(() => far?.frames.length === frames.length);
  await until(() => wire().sent - before === frames.length); // counted a moment after sending
  checkSame(far.frames, frames.map(received));
}

describe.each(['tap', 'packet', 'xdp'] as const)('a frame of full size to %s', (kind) => {
  beforeEach(({ skip }) => {
    const missing = kind === 'xdp' ? xdpMissing() : undefined;
    if (missing !== undefined) skip(missing);
  });

  test.each([
    ['a tag of 802.1Q', [CUSTOMER]],
    ['a tag of 802.1ad', [SERVICE]],
  ])('leaves with %s', async (_, types) => {
    await open(kind);
    for (const less of [4, 3, 0]) await sendAll([taggedFrame(FULL - less, types, less)]);
    expect(wire()).toMatchObject({ sent: 3, drops: { tooLong: 0, refused: 0 } });
  });

  test('leaves with two tags if it is shorter by one tag, and is too long otherwise', async () => {
    await open(kind);
    const types = [SERVICE, CUSTOMER];
    await sendAll([taggedFrame(FULL, types, 1)]);
    await guest.sendAll([taggedFrame(FULL + 1, types, 2), taggedFrame(FULL + TAG_SIZE, types, 3)]);
    await until(() => wire().drops.tooLong === 2);
    expect(wire()).toMatchObject({ sent: 1, drops: { refused: 0 } });
  });

  test('is too long if its four extra bytes are no tag', async ({ skip }) => {
    if (kind !== 'packet') return skip('only a packet socket looks what the four bytes are');
    await open(kind);
    const plain = plainFrame({ to: FAR_MAC, from: lab.mac(0) }, FULL, 1);
    await guest.sendAll([plain]);
    await until(() => wire().drops.tooLong === 1);
    expect(wire()).toMatchObject({ sent: 0, sentBytes: 0, drops: { refused: 0 } });
  });
});

describe('frames with 802.1ad tags to a packet socket', () => {
  /** Long and short frames with tags of either type. */
  const mixed = (count: number, full: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) =>
      taggedFrame(i % 3 === 0 ? 100 + i : full - (i % 5), [i % 4 === 0 ? CUSTOMER : SERVICE], i),
    );

  test('keep their order among other frames', async () => {
    await open('packet');
    await sendAll(mixed(300, FULL));
    expect(wire()).toMatchObject({ sent: 300, drops: { tooLong: 0, refused: 0 } });
  });

  test("are sent from their sender's memory, too", async () => {
    await open('packet', 9000);
    await sendAll(mixed(60, 9000 + ETHERNET_SIZE + TAG_SIZE));
    expect(wire()).toMatchObject({ sent: 60, drops: { tooLong: 0, refused: 0 } });
  });

  test('continue in the ring when the processor is replaced', async () => {
    await open('packet');
    await sendAll(mixed(10, FULL));
    const victim = await lab.connect(1);
    await lab.nic.injectTrap('vf1', 1);
    await victim.sendAll([plainFrame({ to: FAR_MAC, from: lab.mac(1) }, 60, 6)]);
    await until(() => lab.nic.stats().processors[0]?.restarts === 1);
    await sendAll(mixed(100, FULL));
    expect(wire().drops).toMatchObject({ tooLong: 0, refused: 0 });
  });

  // The ring stays mapped in the process that hands over: its processors send until they end.
  test('continue while another NIC takes over', async () => {
    await open('packet');
    const frames = mixed(1400, FULL);
    const sending = guest.sendAll(frames);
    for (let left = 5; left > 0; left--) await lab.succeed({ isSameProcess: true });
    await sending;
    await until(() => far?.frames.length === frames.length);
    checkSame(far?.frames ?? [], frames.map(received));
    expect(wire().drops).toMatchObject({ tooLong: 0, refused: 0 });
  });

  test('continue after the interface was down, and after it was replaced', async () => {
    await open('packet');
    await sendAll(mixed(10, FULL));
    ip('link set near down');
    await until(() => lab.nic.uplink('up').state === 'down');
    ip('link set near up');
    await until(() => lab.nic.uplink('up').state === 'up');
    await sendAll([taggedFrame(FULL, [SERVICE], 1)]);
    far?.close();
    ip('link delete near');
    await until(() => lab.nic.uplink('up').state === 'down');
    ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) ip(`link set ${name} up`);
    await until(() => lab.nic.uplink('up').state === 'up');
    far = openInterfaceEnd('far');
    await sendAll(mixed(40, FULL));
    expect(wire().drops).toMatchObject({ tooLong: 0, refused: 0 });
  });

  test('wait in order on a slow line', async () => {
    await open('packet');
    ip('link set near txqueuelen 1000');
    tc('qdisc add dev near root tbf rate 1mbit burst 16kb limit 64mb');
    await sendAll(mixed(200, FULL));
    expect(wire()).toMatchObject({ sent: 200, drops: { tooLong: 0, refused: 0 } });
    expect(wire().blocked).toBeGreaterThan(0);
  });
});
