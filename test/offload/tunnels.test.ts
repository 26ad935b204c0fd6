import { afterEach, describe, expect, it } from 'vitest';
import { NET_HEADER_GSO_ECN, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import { Random } from '../../src/testing/random.ts';
import { ALL_FEATURES } from './feature-sets.ts';
import { OffloadWire } from './offload-wire.ts';
import { difference, FINISHED, type Packet, superPacket, TCP_FLAG, TIMESTAMPS } from './packets.ts';
import { inTunnel, segmentsInTunnel, type Tunnel } from './tunnels.ts';

const ROOM = { frameSizeMax: 65553, slots: 64, queueSize: 256 };
const MUTATIONS = 400;

const TUNNELS: readonly Tunnel[] = [
  { title: 'VXLAN', outer: 4, kind: 'vxlan' },
  { title: 'VXLAN with checksums', outer: 4, kind: 'vxlan', hasChecksum: true },
  { title: 'VXLAN over IPv6', outer: 6, kind: 'vxlan' },
  { title: 'VXLAN over IPv6 with checksums', outer: 6, kind: 'vxlan', hasChecksum: true },
  { title: 'VXLAN in a VLAN', outer: 4, kind: 'vxlan', hasChecksum: true, isTagged: true },
  { title: 'GENEVE with an option', outer: 4, kind: 'geneve', hasChecksum: true },
  { title: 'GRE', outer: 4, kind: 'gre' },
  { title: 'GRE with a key', outer: 4, kind: 'gre', hasKey: true },
  { title: 'GRE with key and checksum', outer: 4, kind: 'gre', hasKey: true, hasChecksum: true },
  { title: 'Ethernet over GRE over IPv6', outer: 6, kind: 'gretap' },
  { title: 'IP in IPv4', outer: 4, kind: 'ip' },
  { title: 'IP in IPv6', outer: 6, kind: 'ip' },
];

describe('a super-frame in a tunnel', () => {
  let wire: OffloadWire;

  afterEach(() => wire.close());

  // VF 0 sends; 1 accepts everything that virtio can negotiate, 2 accepts nothing.
  function start(mtu = 0): readonly [string, string] {
    wire = new OffloadWire([
      { ...ROOM, features: ALL_FEATURES },
      { ...ROOM, features: ALL_FEATURES, mtu },
      { ...ROOM, features: [VIRTIO_F_VERSION_1], mtu },
    ]);
    wire.postAll();
    return [BROADCAST, wire.mac(0)];
  }

  const inside = { to: '02:00:00:00:00:aa', from: '02:00:00:00:00:bb', payloadLength: 7000 };
  const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | TCP_FLAG.FIN;
  const INNER: Readonly<Record<string, () => Packet>> = {
    'TCP over IPv4': () =>
      superPacket({ ...inside, version: 4, transport: 'tcp', tcpFlags: flags }, 1350),
    'TCP over IPv6': () =>
      superPacket({ ...inside, version: 6, transport: 'tcp', tcpOptions: TIMESTAMPS }, 1337),
    'UDP over IPv4': () => superPacket({ ...inside, version: 4, transport: 'udp' }, 1200),
    'UDP over IPv6': () => superPacket({ ...inside, version: 6, transport: 'udp' }, 1201),
    'TCP after options, with ECN': () => {
      const ipOptions = Uint8Array.of(1, 1, 1, 1);
      const tcpFlags = TCP_FLAG.ACK | TCP_FLAG.CWR;
      const shape = { ...inside, version: 4, transport: 'tcp', ipOptions, tcpFlags } as const;
      const made = superPacket(shape, 1000);
      const gsoType = made.header.gsoType | NET_HEADER_GSO_ECN;
      return { ...made, header: { ...made.header, gsoType } };
    },
  };

  it.each(TUNNELS)('is segmented with correct headers for all: $title', (tunnel) => {
    const ends = start();
    for (const [name, make] of Object.entries(INNER)) {
      const inner = make();
      wire.sendPacket(0, inTunnel(tunnel, ends, inner));
      wire.run();
      const expected = segmentsInTunnel(tunnel, ends, inner);
      for (const guest of [1, 2]) {
        const arrivals = wire.arrivals(guest);
        const frames = arrivals.map(({ frame }) => frame);
        expect(difference(frames, expected), `${name} to guest ${guest}`).toBe('');
        for (const { header } of arrivals) expect(header).toEqual(FINISHED);
      }
    }
  });

  const VXLAN = TUNNELS[1] as Tunnel;
  const made = () => (INNER['TCP over IPv4'] as () => Packet)();

  it('may have inner VLANs', () => {
    const ends = start();
    const tags = [{ type: 0x8100, control: 0x2009 }];
    const inner = superPacket({ ...inside, tags, version: 4, transport: 'tcp' }, 1350);
    wire.sendPacket(0, inTunnel(VXLAN, ends, inner));
    wire.run();
    const frames = wire.arrivals(1).map(({ frame }) => frame);
    expect(difference(frames, segmentsInTunnel(VXLAN, ends, inner))).toBe('');
  });

  it('is measured by its segments with all headers, for a guest with an MTU', () => {
    const length = 20 + 8 + 8 + 14 + 40 + 1350;
    for (const [mtu, isTaken] of [
      [length, true],
      [length - 1, false],
    ] as const) {
      const ends = start(mtu);
      wire.sendPacket(0, inTunnel(VXLAN, ends, made()));
      wire.run();
      for (const guest of [1, 2]) {
        expect(wire.drops(guest, 'rx', 'mtu')).toBe(isTaken ? 0 : 1);
        expect(wire.arrivals(guest).length).toBe(isTaken ? 6 : 0);
      }
      wire.close();
    }
  });

  it.each<[string, Tunnel, (frame: Uint8Array, packet: Packet) => void]>([
    ['whose inner packet is longer', VXLAN, (frame, { l3 }) => set16(frame, l3 + 2, 9000)],
    ['whose inner packet is a fragment', VXLAN, (frame, { l3 }) => set16(frame, l3 + 6, 0x2000)],
    ['whose inner protocol is different', VXLAN, (frame, { l3 }) => frame.set([17], l3 + 9)],
    ['that is a fragment itself', VXLAN, (frame) => set16(frame, 14 + 6, 0x2000)],
    ['over a protocol that is not a tunnel', VXLAN, (frame) => frame.set([132], 14 + 9)],
    ['numbered by GRE', TUNNELS[6] as Tunnel, (frame) => frame.set([0x10], 14 + 20)],
  ])('is dropped if it is invalid: %s', (_, tunnel, spoil) => {
    const ends = start();
    const packet = inTunnel(tunnel, ends, made());
    spoil(packet.frame, packet);
    wire.sendPacket(0, packet);
    wire.run();
    expect(wire.allDrops(0)).toEqual({ 'tx.segmentation': 1 });
    expect(wire.arrivals(1)).toEqual([]);
  });

  it.each([
    [1, 10],
    [1, 6],
    [6, 10],
    [9, 1],
    [10, 9],
  ])('is dropped if a tunnel is in its tunnel: %i, %i', (outer, middle) => {
    const ends = start();
    const [around, within] = [TUNNELS[outer] as Tunnel, TUNNELS[middle] as Tunnel];
    wire.sendPacket(0, inTunnel(around, ends, inTunnel(within, ends, made())));
    wire.run();
    expect(wire.allDrops(0)).toEqual({ 'tx.segmentation': 1 });
  });

  function set16(frame: Uint8Array, at: number, value: number): void {
    new DataView(frame.buffer).setUint16(at, value);
  }

  it('does no harm with random errors in its headers', () => {
    const ends = start();
    const random = new Random(25);
    for (let i = 0; i < MUTATIONS; i++) {
      const tunnel = TUNNELS[random.below(TUNNELS.length)] as Tunnel;
      const packet = inTunnel(tunnel, ends, made());
      for (let n = random.between(1, 4); n > 0; n--) {
        packet.frame[random.between(12, packet.payload)] = random.below(256);
      }
      const change = random.below(4) === 0 ? random.between(-20, 20) : 0;
      const { header } = packet;
      const checksumStart = header.checksumStart + change;
      wire.sendPacket(0, { ...packet, header: { ...header, checksumStart } });
      wire.run(); // throws if counters do not balance
      const frames = wire.arrivals(1).map(({ frame }) => frame);
      expect(
        difference(
          wire.arrivals(2).map(({ frame }) => frame),
          frames,
        ),
      ).toBe('');
    }
    expect(wire.host.faults).toEqual([]);
    expect(wire.host.stats().vfs[0]?.tx.forwarded).toBeGreaterThan(0);
    expect(wire.drops(0, 'tx', 'segmentation')).toBeGreaterThan(0);
  });
});
