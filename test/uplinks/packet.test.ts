import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { PinAllocator } from '../../src/memory/pins.ts';
import { c } from '../../src/os/libc.ts';
import { SOL_PACKET } from '../../src/os/packet-socket.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { PAIR_SIZE } from '../../src/wires/port-memory.ts';
import { ALL_FEATURES } from '../offload/feature-sets.ts';
import { netHeaderBytes, packet, superPacket } from '../offload/packets.ts';
import { checkSame } from '../support/exchange.ts';
import { type FarEnd, openInterfaceEnd } from '../support/far-end.ts';
import { enterNamespace, ip, namespaceMissing, tc } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// Specific to packet sockets: the ring they receive into, and what they do to the interface.

const FAR_MAC = '02:00:00:00:ff:01';
const PACKET_RX_RING = 5;
/** More frames than the ring has slots. */
const MANY = 1000;
/** Fewer frames than a guest has buffers. */
const CHUNK = 30;
const MAC_SIZE = 14;
/** The kernel itself segments a longer packet. */
const IP_SIZE_MAX = 65_535 - MAC_SIZE;
const HEADERS_SIZE = 40;

let lab: TestNic;
let guest: MockGuest;
let far: FarEnd;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(async ({ skip }) => {
  if (namespaceMissing !== undefined) return skip(namespaceMissing);
  makeCable();
  lab = await TestNic.start({ vfs: 2 });
  const frameSizeMax = IP_SIZE_MAX + MAC_SIZE;
  guest = await lab.connect(0, { frameSizeMax, slots: 64, features: ALL_FEATURES });
});

afterEach(async () => {
  vi.restoreAllMocks();
  if (namespaceMissing !== undefined) return;
  far?.close();
  if (ip('link').includes('near')) ip('link delete near');
  try {
    lab.checkGuests();
  } finally {
    await lab.close();
  }
});

function makeCable(): void {
  ip('link add near type veth peer name far');
  for (const name of ['near', 'far']) ip(`link set ${name} up`);
}

async function open(queues = 1): Promise<string | undefined> {
  await lab.nic.addUplink({ name: 'up', type: 'packet', interface: 'near', queues });
  far = openInterfaceEnd('far');
  return lab.nic.uplink('up').capabilities?.mode;
}

async function until(isTrue: () => boolean): Promise<void> {
  await waitUntil(isTrue, () => lab.nic.stats().uplinks);
}

async function toGuest(count: number, seed: number): Promise<void> {
  for (let next = 0; next < count; next += CHUNK) {
    const frames = Array.from({ length: Math.min(CHUNK, count - next) }, (_, i) =>
      plainFrame({ to: lab.mac(0), from: FAR_MAC }, 60 + ((next + i) % 1400), seed + next + i),
    );
    const arrived = guest.waitReceived(frames.length);
    for (const frame of frames) await until(() => far.send(frame));
    checkSame(await arrived, frames, next);
  }
}

async function toWorld(seed: number): Promise<void> {
  const frame = plainFrame({ to: BROADCAST, from: lab.mac(0) }, 300, seed);
  far.frames.length = 0;
  await guest.sendAll([frame]);
  await until(() => far.frames.length === 1);
  checkSame(far.frames, [frame]);
}

/** Sends many flows, each of which the fanout group assigns to one socket. */
async function manyFlows(): Promise<void> {
  const frames = Array.from({ length: 64 }, (_, i) => {
    const shape = { to: lab.mac(0), from: FAR_MAC, version: 4, transport: 'udp' } as const;
    const { frame, l4 } = packet({ ...shape, payloadLength: 100 + i });
    new DataView(frame.buffer, frame.byteOffset).setUint16(l4, 1000 + i);
    return frame;
  });
  const arrived = guest.waitReceived(frames.length);
  for (const frame of frames) await until(() => far.send(frame));
  const sorted = (list: readonly Uint8Array[]) => [...list].sort((a, b) => a.length - b.length);
  checkSame(sorted(await arrived), sorted(frames));
}

function promiscuity(): number {
  const [link] = JSON.parse(ip('-j -d link show near')) as { promiscuity: number }[];
  return link?.promiscuity ?? -1;
}

describe('the ring of a packet socket', () => {
  test('wraps around many times, with all frames intact and in order', async () => {
    expect(await open()).toBe('mapped ring');
    await toGuest(MANY, 1);
    await toWorld(2);
    await until(() => lab.nic.stats().uplinks[0]?.wire.sent === 1);
    expect(lab.nic.stats().uplinks[0]?.wire.received).toBe(MANY);
  });

  test('holds the largest super-frame', async () => {
    await open();
    const payloadLength = IP_SIZE_MAX - HEADERS_SIZE;
    const shape = { to: lab.mac(0), from: FAR_MAC, version: 4, transport: 'tcp' } as const;
    const made = superPacket({ ...shape, payloadLength }, 1400);
    expect(made.frame.length).toBe(IP_SIZE_MAX + MAC_SIZE);
    const arrived = guest.waitReceived(1);
    expect(far.send(made.frame, netHeaderBytes(made.header, 10))).toBe(true);
    checkSame(await arrived, [made.frame]);
  });

  test('exists once for each socket of a fanout group', async () => {
    expect(await open(4)).toBe('mapped ring');
    await manyFlows();
    const queues = lab.nic.stats().uplinks[0]?.queues ?? [];
    expect(queues.filter((one) => one.direction === 'tx' && one.packets > 0)).toHaveLength(4);
  });

  test('loses frames that arrive too fast, and the kernel’s count of them is reported', async () => {
    await open();
    const count = 5000;
    for (let i = 0; i < count; i++) {
      await until(() => far.send(plainFrame({ to: lab.mac(0), from: FAR_MAC }, 60, i)));
    }
    const lost = () => lab.nic.stats().uplinks[0]?.kernel?.drops.receiveRingFull ?? -1;
    await until(() => (lab.nic.stats().uplinks[0]?.wire.received ?? 0) + lost() === count);
    // The kernel resets its count when it is read. The uplink keeps the sum, even with new sockets.
    const before = lost();
    ip('link set near down');
    await until(() => lab.nic.uplink('up').state === 'down');
    expect(lost()).toBe(before);
  });

  test('is not used if the kernel refuses it, and the reason is shown', async () => {
    const { setsockopt } = c;
    vi.spyOn(c, 'setsockopt').mockImplementation((...words) => {
      const [fd = -1, level, name] = words;
      const isRing = level === SOL_PACKET && name === PACKET_RX_RING;
      return isRing ? setsockopt(fd, SOL_PACKET, PACKET_RX_RING, 0, 16) : setsockopt(...words);
    });
    expect(await open()).toMatch(/^messages \(no ring: E[A-Z]+\)$/);
    await toGuest(200, 3);
    await toWorld(4);
  });

  test('is not used if the processors have no room to map it', async () => {
    const { allocate } = PinAllocator.prototype;
    vi.spyOn(PinAllocator.prototype, 'allocate').mockImplementation(function (
      this: PinAllocator,
      bytes,
      align,
    ) {
      return bytes > PAIR_SIZE ? null : allocate.call(this, bytes, align);
    });
    expect(await open(2)).toBe('messages (no ring: no address space left)');
    await toGuest(200, 11);
    await toWorld(12);
  });

  test('continues at its position when its processor is replaced', async () => {
    await open();
    const victim = await lab.connect(1);
    await toGuest(200, 5);
    await lab.nic.injectTrap('vf1', 1);
    await victim.sendAll([plainFrame({ to: FAR_MAC, from: lab.mac(1) }, 60, 6)]);
    await until(() => lab.nic.stats().processors[0]?.restarts === 1);
    await toGuest(MANY, 7);
    await toWorld(8);
  });
});

describe('large frames to a packet socket', () => {
  test('wait in order on a slow line, those that are lent and those that are not', async () => {
    for (const name of ['near', 'far']) ip(`link set ${name} mtu 9000`);
    await open();
    const frames = Array.from({ length: 650 }, (_, i) =>
      plainFrame({ to: FAR_MAC, from: lab.mac(0) }, i % 4 === 0 ? 500 : 5000 + i, 100 + i),
    );
    const loose = frames.slice(0, 20);
    await guest.sendAll(loose);
    await until(() => far.frames.length === loose.length);
    expect(lab.nic.stats().uplinks[0]?.wire.blocked).toBe(0);
    // More than the socket's buffer holds, but less than the buffer and the ring together.
    const line = (rate: string): string => `dev near root tbf rate ${rate} burst 16kb limit 64mb`;
    tc(`qdisc add ${line('1mbit')}`); // slower than any machine
    const sending = guest.sendAll(frames);
    await until(() => (lab.nic.stats().uplinks[0]?.wire.blocked ?? 0) > 0);
    tc(`qdisc change ${line('1gbit')}`);
    await sending;
    await until(() => far.frames.length === loose.length + frames.length);
    checkSame(far.frames, [...loose, ...frames]);
    expect(lab.nic.stats().uplinks[0]?.wire.drops.refused).toBe(0);
  });
});

describe('the interface of a packet socket', () => {
  test('is promiscuous while the uplink exists', async () => {
    expect(promiscuity()).toBe(0);
    await open();
    expect(promiscuity()).toBe(1);
    await toGuest(10, 9);
    await lab.nic.removeUplink('up');
    expect(promiscuity()).toBe(0);
  });

  test('sends the first frame after it was down', async () => {
    await open();
    await toGuest(10, 10);
    ip('link set near down');
    await until(() => lab.nic.uplink('up').state === 'down');
    ip('link set near up');
    await until(() => lab.nic.uplink('up').state === 'up');
    await toWorld(11);
    await toGuest(MANY, 12);
    expect(lab.nic.stats().uplinks[0]?.wire.drops.refused).toBe(0);
    expect(promiscuity()).toBe(1);
  });

  test('can be deleted and created again, and starts with an empty ring', async () => {
    await open();
    await toGuest(130, 13);
    far.close();
    ip('link delete near');
    await until(() => lab.nic.uplink('up').state === 'down');
    makeCable();
    await until(() => lab.nic.uplink('up').state === 'up');
    far = openInterfaceEnd('far');
    await toGuest(MANY, 14);
    await toWorld(15);
    expect(promiscuity()).toBe(1);
  });
});

describe('a fanout group and several processors', () => {
  test('share the work, and survive the death of one processor', async () => {
    await lab.close();
    lab = await TestNic.start({ vfs: 2, processors: 2 });
    guest = await lab.connect(0, { frameSizeMax: IP_SIZE_MAX + MAC_SIZE, slots: 64 });
    await open(2);
    const misses = () => lab.nic.stats().processors.map(({ windows }) => windows.misses);
    expect(misses()[1]).toBe(0);
    await manyFlows();
    // The other processor has no guest, so its window misses are those of the uplink.
    await until(() => (misses()[1] ?? 0) > 0);
    await toWorld(16);
    const victim = await lab.connect(1);
    await lab.nic.injectTrap('vf1', 1);
    await victim.sendAll([plainFrame({ to: FAR_MAC, from: lab.mac(1) }, 60, 17)]);
    await until(() => lab.nic.stats().processors[1]?.restarts === 1);
    await manyFlows();
    await toWorld(18);
    await lab.nic.removeUplink('up');
    expect(promiscuity()).toBe(0);
  });
});
