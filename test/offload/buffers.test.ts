import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { FORMATS } from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';
import { packet, superPacket } from './packets.ts';

const SENDER = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 4 };
const MERGEABLE = [...ALL_FEATURES, VIRTIO_NET_F_MRG_RXBUF];
const SEGMENTS = 7;

// A receiver may not have room for the frames whose offloads it has negotiated.
describe.each(FORMATS)('translation into %s rings', (format) => {
  let wire: OffloadWire;

  afterEach(() => wire.close());

  /** A sender and one receiver, which posts `buffers` buffers. */
  function connect(receiver: GuestOptions, buffers: number): void {
    const packed = format === 'packed';
    wire = new OffloadWire([
      { ...SENDER, packed },
      { ...receiver, packed },
    ]);
    wire.post(1, buffers);
  }

  function shape() {
    return { to: wire.mac(1), from: wire.mac(0), version: 4, transport: 'tcp' } as const;
  }

  function superFrame() {
    return superPacket({ ...shape(), payloadLength: SEGMENTS * 1000 }, 1000);
  }

  function counters() {
    const rx = wire.host.stats().vfs[1]?.rx;
    return [rx?.offered, rx?.packets, rx?.segments, rx?.checksums];
  }

  it('segments for a guest that accepts super-frames but posts small buffers', () => {
    connect({ features: ALL_FEATURES, frameSizeMax: 1514 }, 20);
    const made = superFrame();
    wire.sendPacket(0, made);
    wire.run();
    expect(arrivalProblem(made, new Set(PLAIN_FEATURES), wire.arrivals(1))).toBe('');
    expect(counters()).toEqual([SEGMENTS, SEGMENTS, SEGMENTS - 1, 0]);
    expect(wire.allDrops(1)).toEqual({});
  });

  it('delivers as many segments as there are buffers, and counts the rest', () => {
    connect({ features: PLAIN_FEATURES, frameSizeMax: 1514 }, 3);
    wire.sendPacket(0, superFrame());
    wire.run();
    expect(wire.arrivals(1).length).toBe(3);
    expect(counters()).toEqual([SEGMENTS, 3, SEGMENTS - 1, 0]);
    expect(wire.allDrops(1)).toEqual({ 'rx.ringFull': SEGMENTS - 3 });
  });

  it('counts all segments if there is no buffer', () => {
    connect({ features: PLAIN_FEATURES, frameSizeMax: 1514 }, 0);
    wire.sendPacket(0, superFrame());
    wire.run();
    expect(counters()).toEqual([SEGMENTS, 0, SEGMENTS - 1, 0]);
    expect(wire.allDrops(1)).toEqual({ 'rx.ringFull': SEGMENTS });
  });

  it('drops a super-frame that does not fit into all mergeable buffers together', () => {
    const receiver = { features: MERGEABLE, frameSizeMax: 65553 };
    connect({ ...receiver, bufferBytesMin: 1500, bufferBytesMax: 1500 }, 3);
    wire.sendPacket(0, superFrame());
    wire.run();
    expect(wire.arrivals(1)).toEqual([]);
    expect(counters()).toEqual([1, 0, 0, 0]);
    expect(wire.allDrops(1)).toEqual({ 'rx.ringFull': 1 });
    // The buffers are still available for a frame that fits.
    const made = packet({ ...shape(), payloadLength: 100 });
    wire.sendPacket(0, made);
    wire.run();
    expect(arrivalProblem(made, new Set(MERGEABLE), wire.arrivals(1))).toBe('');
  });

  it('drops segments that are too large for every buffer', () => {
    connect({ features: PLAIN_FEATURES, frameSizeMax: 900 }, 20);
    wire.sendPacket(0, superFrame());
    wire.run();
    expect(counters()).toEqual([SEGMENTS, 0, SEGMENTS - 1, 0]);
    expect(wire.allDrops(1)).toEqual({ 'rx.bufferTooSmall': SEGMENTS });
  });

  it('counts checksums that it completed, and only those', () => {
    connect({ features: PLAIN_FEATURES, frameSizeMax: 1514 }, 20);
    for (let i = 0; i < 3; i++) {
      wire.sendPacket(0, packet({ ...shape(), payloadLength: 100 + i }));
      wire.run();
    }
    expect(wire.arrivals(1).length).toBe(3);
    expect(counters()).toEqual([3, 3, 0, 3]);
  });
});
