import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hasUdpSegmentation } from '../../src/os/packet-socket.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from '../offload/feature-sets.ts';
import { difference, netHeaderBytes, type PacketShape, superPacket } from '../offload/packets.ts';
import { inTunnel, segmentsInTunnel, type Tunnel } from '../offload/tunnels.ts';
import { type FarEnd, openInterfaceEnd, openTapEnd } from '../support/far-end.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import {
  DATAGRAM_COUNT,
  DATAGRAM_SIZE,
  DATAGRAMS_IN_ONE,
  Network,
  STREAM_BYTES,
} from '../support/network.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// Super-frames inside a tunnel. A veth passes them to a packet socket whole, but no virtio-net
// header can describe them: each receiver gets them segmented.

const FAR_MAC = '02:00:00:00:ff:01';

let lab: TestNic;
const networks: Network[] = [];
const ends: FarEnd[] = [];

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(({ skip }) => {
  if (namespaceMissing !== undefined) return skip(namespaceMissing);
});

afterEach(async () => {
  if (namespaceMissing !== undefined) return;
  for (const end of ends.splice(0)) end.close();
  try {
    await lab?.finish();
  } finally {
    for (const name of ['near0', 'near1', 'tunnel']) {
      if (ip('link').includes(name)) ip(`link delete ${name}`);
    }
    for (const network of networks.splice(0)) network.close();
  }
});

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => lab.nic.stats().uplinks);
}

function makeCable(number: number): string {
  const [near, far] = [`near${number}`, `far${number}`];
  ip(`link add ${near} type veth peer name ${far}`);
  for (const name of [near, far]) ip(`link set ${name} up`);
  return far;
}

const TUNNELS: readonly Tunnel[] = [
  { title: 'VXLAN', outer: 4, kind: 'vxlan' },
  { title: 'VXLAN with UDP checksums', outer: 4, kind: 'vxlan', hasChecksum: true },
  { title: 'VXLAN over IPv6', outer: 6, kind: 'vxlan', hasChecksum: true },
  { title: 'VXLAN in a VLAN', outer: 4, kind: 'vxlan', hasChecksum: true, isTagged: true },
  { title: 'GENEVE', outer: 4, kind: 'geneve', hasChecksum: true },
  { title: 'GRE', outer: 4, kind: 'gre' },
  {
    title: 'GRE with a checksum and a key',
    outer: 4,
    kind: 'gre',
    hasChecksum: true,
    hasKey: true,
  },
  { title: 'Ethernet in GRE', outer: 4, kind: 'gretap' },
  { title: 'IP in IPv4', outer: 4, kind: 'ip' },
  { title: 'IP in IPv6', outer: 6, kind: 'ip' },
];

/** The frame as another packet socket sees it: the kernel has stripped the tag. */
function withoutTag(frame: Uint8Array): Uint8Array {
  return Uint8Array.from(Buffer.concat([frame.subarray(0, 12), frame.subarray(16)]));
}

describe('super-frames in tunnels, from a packet socket to every kind of receiver', () => {
  const shapes: readonly Pick<PacketShape, 'version' | 'transport'>[] = [
    { version: 4, transport: 'tcp' },
    { version: 6, transport: 'tcp' },
    { version: 4, transport: 'udp' },
    { version: 6, transport: 'udp' },
  ];

  test.each(TUNNELS)('$title', async (tunnel) => {
    // The kernel sends only such frames as it has built itself. A TAP can inject any frame.
    const far = openTapEnd('near0');
    ends.push(far);
    ip('link set near0 up');
    makeCable(1);
    lab = await TestNic.start({ vfs: 2 });
    const plain = await lab.connect(0, { features: PLAIN_FEATURES, slots: 64 });
    const able = await lab.connect(1, { features: ALL_FEATURES, frameSizeMax: 65_553, slots: 64 });
    const uplinks = { packet: 'near1', tap: 'tunnel' } as const;
    await lab.nic.addUplink({ name: 'in', type: 'packet', interface: 'near0' });
    await lab.nic.addUplink({ name: 'packet', type: 'packet', interface: uplinks.packet });
    await lab.nic.addUplink({ name: 'tap', type: 'tap', interface: uplinks.tap });
    await until(() => lab.nic.uplinks().every(({ state }) => state === 'up'));
    const receivers = [openInterfaceEnd('far1'), openInterfaceEnd('tunnel')];
    ends.push(...receivers);
    for (const shape of shapes) {
      const inner = superPacket(
        { to: FAR_MAC, from: FAR_MAC, ...shape, payloadLength: 9999 },
        1200,
      );
      const addresses = [BROADCAST, FAR_MAC] as const;
      const { frame, header } = inTunnel(tunnel, addresses, inner);
      const expected = segmentsInTunnel(tunnel, addresses, inner);
      const what = `${shape.transport} over IPv${shape.version}`;
      const arrivals = [plain, able].map((guest) => guest.waitReceived(expected.length));
      for (const end of receivers) end.frames.length = 0;
      expect(far.send(frame, netHeaderBytes(header)), what).toBe(true);
      await until(() => receivers.every((end) => end.frames.length >= expected.length));
      const seen = tunnel.isTagged === true ? expected.map(withoutTag) : expected;
      for (const end of receivers) expect(difference(end.frames, seen), what).toBe('');
      for (const arrival of arrivals) expect(difference(await arrival, expected), what).toBe('');
    }
    expect(lab.nic.stats().uplinks[0]?.tx.drops).toEqual({});
  });
});

interface KernelTunnel {
  name: string;
  /** Arguments of `ip link add`. */
  link: string;
  outer: readonly [string, string];
  inner: readonly [string, string];
}

const IPV4 = { outer: ['10.7.0.1', '10.7.0.2'], inner: ['10.8.0.1', '10.8.0.2'] } as const;
const IPV6 = { outer: ['fd07::1', 'fd07::2'], inner: ['fd08::1', 'fd08::2'] } as const;
const VXLAN = 'type vxlan id 7 dstport 4789';

const KERNEL_TUNNELS: readonly KernelTunnel[] = [
  { name: 'VXLAN', link: `${VXLAN} noudpcsum`, ...IPV4 },
  { name: 'VXLAN with UDP checksums', link: `${VXLAN} udpcsum`, ...IPV4 },
  { name: 'VXLAN over IPv6', link: VXLAN, outer: IPV6.outer, inner: IPV4.inner },
  { name: 'IPv6 in VXLAN', link: `${VXLAN} udpcsum`, outer: IPV4.outer, inner: IPV6.inner },
  { name: 'GRE', link: 'type gre', ...IPV4 },
  { name: 'GRE with a checksum and a key', link: 'type gre key 7 csum', ...IPV4 },
  { name: 'Ethernet in GRE', link: 'type gretap', ...IPV4 },
  { name: 'IP in IP', link: 'type ipip', ...IPV4 },
];

/** Why the kernel does not support the tunnel, or undefined. */
function tunnelMissing({ link, outer: [local, remote] }: KernelTunnel): string | undefined {
  const words = `link add probe ${link} local ${local} remote ${remote}`;
  try {
    execFileSync('ip', words.split(' '), { stdio: 'pipe' });
    ip('link delete probe');
    return undefined;
  } catch (error) {
    return `this kernel has no "${link}": ${(error as Error).message.split('\n')[1]}`;
  }
}

/** Sets up one end of a tunnel on the interface `name` of a network. */
function endTunnel(network: Network, name: string, tunnel: KernelTunnel, number: 0 | 1): void {
  const { link, outer, inner } = tunnel;
  network.run('sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
  network.ip(`link set ${name} up`);
  network.ip(`address add ${withPrefix(outer[number])} dev ${name} ${nodad(outer[number])}`.trim());
  const [local, remote] = [outer[number], outer[1 - number]];
  network.ip(`link add tunnel ${link} local ${local} remote ${remote} dev ${name}`);
  network.run('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/tunnel/disable_ipv6');
  network.ip('link set tunnel up');
  const address = inner[number];
  network.ip(`address add ${withPrefix(address)} dev tunnel ${nodad(address)}`.trim());
}

function withPrefix(address: string): string {
  return `${address}/${address.includes(':') ? 64 : 24}`;
}

/** Makes an IPv6 address usable immediately: duplicates need not be looked for. */
function nodad(address: string): string {
  return address.includes(':') ? 'nodad' : '';
}

/** Sends a stream from one end to the other, through the NIC, and checks that it arrives whole. */
async function transfer(from: Network, to: Network, host: string): Promise<void> {
  const listening = await to.listen(host);
  const endSending = from.send(host);
  try {
    expect(await listening.sum).toBe(STREAM_SUM);
  } finally {
    endSending();
    listening.close();
  }
}

const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
const stream = cipher.update(Buffer.alloc(STREAM_BYTES));
const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const STREAM_SUM = sumOf(stream);
const DATAGRAMS_SUM = sumOf(stream.subarray(0, DATAGRAM_COUNT * DATAGRAM_SIZE));

function segments(number: number): number {
  return lab.nic.stats().uplinks[number]?.rx.segments ?? 0;
}

async function openNetwork(number: number): Promise<Network> {
  const network = await Network.create();
  networks.push(network);
  network.take(makeCable(number));
  return network;
}

describe('TCP through tunnels of the kernel', () => {
  const all = (): boolean => lab.nic.uplinks().every(({ state }) => state === 'up');

  test.for(KERNEL_TUNNELS)('$name, between two packet sockets', async (tunnel, { skip }) => {
    const missing = tunnelMissing(tunnel);
    if (missing !== undefined) return skip(missing);
    lab = await TestNic.start({ vfs: 1 });
    const [first, second] = [await openNetwork(0), await openNetwork(1)];
    endTunnel(first, 'far0', tunnel, 0);
    endTunnel(second, 'far1', tunnel, 1);
    await lab.nic.addUplink({ name: 'a', type: 'packet', interface: 'near0' });
    await lab.nic.addUplink({ name: 'b', type: 'packet', interface: 'near1' });
    await until(all);
    await transfer(first, second, tunnel.inner[1]);
    await transfer(second, first, tunnel.inner[0]);
    expect(segments(0), 'super-frames that had to be cut').toBeGreaterThan(100);
    expect(segments(1)).toBeGreaterThan(100);
  });

  test.for(KERNEL_TUNNELS.filter(({ inner }) => inner === IPV4.inner))(
    'UDP that is segmented late (UDP_SEGMENT) in $name arrives',
    async (tunnel, { skip }) => {
      const missing = tunnelMissing(tunnel);
      if (missing !== undefined) return skip(missing);
      if (!hasUdpSegmentation()) return skip('packet sockets know no such frames before Linux 6.2');
      lab = await TestNic.start({ vfs: 1 });
      const [first, second] = [await openNetwork(0), await openNetwork(1)];
      endTunnel(first, 'far0', tunnel, 0);
      endTunnel(second, 'far1', tunnel, 1);
      await lab.nic.addUplink({ name: 'a', type: 'packet', interface: 'near0' });
      await lab.nic.addUplink({ name: 'b', type: 'packet', interface: 'near1' });
      await until(all);
      await transfer(first, second, tunnel.inner[1]); // so that all addresses are resolved
      const before = segments(1);
      const listening = await second.listenForDatagrams(tunnel.inner[1]);
      const endSending = first.sendDatagrams(tunnel.inner[1]);
      expect(await listening.sum).toBe(DATAGRAMS_SUM);
      endSending();
      expect(segments(1) - before).toBe(DATAGRAM_COUNT - DATAGRAM_COUNT / DATAGRAMS_IN_ONE);
    },
  );

  test('VXLAN between a packet socket and a TAP', async ({ skip }) => {
    const tunnel = KERNEL_TUNNELS[1] as KernelTunnel;
    const missing = tunnelMissing(tunnel);
    if (missing !== undefined) return skip(missing);
    lab = await TestNic.start({ vfs: 1 });
    const network = await openNetwork(0);
    endTunnel(network, 'far0', tunnel, 0);
    await lab.nic.addUplink({ name: 'a', type: 'packet', interface: 'near0' });
    await lab.nic.addUplink({ name: 'b', type: 'tap', interface: 'near1' });
    await until(all);
    const own = Network.own();
    endTunnel(own, 'near1', tunnel, 1);
    await transfer(network, own, tunnel.inner[1]);
    // The kernel itself segments what it sends to a TAP.
    await transfer(own, network, tunnel.inner[0]);
    expect(segments(1), 'super-frames that had to be cut').toBeGreaterThan(100);
  });
});
