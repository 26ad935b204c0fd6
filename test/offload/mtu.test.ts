import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { BROADCAST, ethernetFrame, plainFrame } from '../../src/testing/frames.ts';
import { ALL_FEATURES } from './feature-sets.ts';
import { OffloadWire } from './offload-wire.ts';
import { datagramToFragment, type Packet, type PacketShape, superPacket } from './packets.ts';

const MTU = 1500;
const ETHERNET = 14;
const COMMON = { frameSizeMax: 65553, slots: 64, queueSize: 256 };
const FORMATS = [false, true];

// VF 0 sends; 1 has negotiated an MTU and accepts offloads, 2 has one and accepts none, 3 has none.
describe.each(FORMATS)('a guest that has negotiated an MTU (5.1.4.1), packed: %s', (packed) => {
  let wire: OffloadWire;

  afterEach(() => wire.close());

  function start(mtu = MTU): void {
    const features = ALL_FEATURES;
    wire = new OffloadWire([
      { ...COMMON, packed, features },
      { ...COMMON, packed, features, mtu },
      { ...COMMON, packed, features: [VIRTIO_F_VERSION_1], mtu },
      { ...COMMON, packed, features },
    ]);
    wire.postAll();
  }

  /** Sends a frame; returns the frames that arrived, and the drops counted as `mtu`. */
  function arrived(to: number, frame: Uint8Array | Packet): { frames: number; drops: number } {
    if ('frame' in frame) wire.sendPacket(0, frame);
    else wire.send(0, frame);
    const before = wire.drops(to, 'rx', 'mtu');
    wire.run();
    return { frames: wire.arrivals(to).length, drops: wire.drops(to, 'rx', 'mtu') - before };
  }

  function frameOf(to: number, packetLength: number, tags: string): Uint8Array {
    const typed = tags === '' ? '0800' : `${tags}0800`;
    const body = Buffer.from(typed.slice(4), 'hex');
    const payload = Buffer.concat([body, Buffer.alloc(packetLength, 1)]);
    const type = Number.parseInt(typed.slice(0, 4), 16);
    return ethernetFrame({ to: wire.mac(to), from: wire.mac(0) }, type, payload);
  }

  const ALL = { frames: 1, drops: 0 };
  const NONE = { frames: 0, drops: 1 };

  it.each([
    ['without a tag', ''],
    ['with a tag', '81000007'],
    ['with two', '88a8000781000008'],
  ])('gets packets of at most that length, %s', (_, tags) => {
    start();
    for (const guest of [1, 2]) {
      expect(arrived(guest, frameOf(guest, MTU, tags))).toEqual(ALL);
      expect(arrived(guest, frameOf(guest, MTU + 1, tags))).toEqual(NONE);
    }
    expect(arrived(3, frameOf(3, 9000, tags)), 'no MTU').toEqual(ALL);
    expect(wire.host.stats().vfs[0]?.tx.forwarded).toBe(5);
  });

  const SHAPES: readonly [string, number, (shape: PacketShape, size: number) => Packet][] = [
    ['TCP', MTU - 40, (shape, size) => superPacket({ ...shape, transport: 'tcp' }, size)],
    ['UDP', MTU - 28, (shape, size) => superPacket({ ...shape, transport: 'udp' }, size)],
    ['a datagram that is fragmented', MTU - 20, datagramToFragment],
  ];

  it.each(SHAPES)('gets super-frames of %s whose segments are not longer', (_, fitting, make) => {
    start();
    for (const guest of [1, 2]) {
      const shape = {
        to: wire.mac(guest),
        from: wire.mac(0),
        version: 4,
        transport: 'udp',
      } as const;
      const fits = arrived(guest, make({ ...shape, payloadLength: 20_000 }, fitting));
      expect(fits.drops).toBe(0);
      expect(fits.frames > 1, 'cut').toBe(guest === 2);
      const tooLong = arrived(guest, make({ ...shape, payloadLength: 20_000 }, fitting + 8));
      expect(tooLong).toEqual(NONE);
      const short = arrived(guest, make({ ...shape, payloadLength: 1000 }, 9000));
      expect(short, 'one segment, and a short one').toEqual(ALL);
    }
    expect(wire.host.stats().vfs[2]?.rx.segments).toBeGreaterThan(0);
  });

  it('counts extension headers as part of the packet', () => {
    start(1280);
    const shape = { to: wire.mac(1), from: wire.mac(0), version: 6, transport: 'udp' } as const;
    const whole = { ...shape, payloadLength: 8000 };
    const fitting = 1280 - 40 - 8; // the IPv6 header and the fragment header
    expect(arrived(1, datagramToFragment(whole, fitting))).toEqual(ALL);
    expect(arrived(1, datagramToFragment(whole, fitting + 8))).toEqual(NONE);
  });

  it('does not keep a long broadcast frame from others', () => {
    start();
    wire.send(0, plainFrame({ to: BROADCAST, from: wire.mac(0) }, MTU + ETHERNET + 1));
    wire.run();
    expect([1, 2, 3].map((guest) => wire.arrivals(guest).length)).toEqual([0, 0, 1]);
    expect([1, 2, 3].map((guest) => wire.drops(guest, 'rx', 'mtu'))).toEqual([1, 1, 0]);
  });

  it('gets the frames in between, in order', () => {
    start();
    const lengths = [60, MTU + ETHERNET + 1, 61, MTU + ETHERNET, MTU + ETHERNET + 200, 62];
    for (const length of lengths) {
      wire.send(0, plainFrame({ to: wire.mac(1), from: wire.mac(0) }, length));
    }
    wire.run();
    expect(wire.arrivals(1).map(({ frame }) => frame.length)).toEqual([60, 61, 1514, 62]);
    expect(wire.allDrops(1)).toEqual({ 'rx.mtu': 2 });
  });
});
