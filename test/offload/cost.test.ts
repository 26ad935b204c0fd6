import { afterEach, describe, expect, it } from 'vitest';
import { SEGMENTS_PER_FRAME_MAX } from '../../layout/limits.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { FORMATS } from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';
import { type Arrival, superPacket } from './packets.ts';

const FRAMES = 20;
const QUEUE_SIZE = 16384;

describe.each(FORMATS)('super-frames of tiny segments, in %s rings', (format) => {
  let wire: OffloadWire;

  afterEach(() => wire.close());

  it('make a turn no longer than two of them take, and none is lost', () => {
    const packed = format === 'packed';
    const receiver = { queueSize: QUEUE_SIZE, slots: QUEUE_SIZE, frameSizeMax: 64 };
    const sender = { features: ALL_FEATURES, frameSizeMax: 20_000, slots: FRAMES, packed };
    wire = new OffloadWire([sender, { features: PLAIN_FEATURES, ...receiver, packed }]);
    const addresses = { to: wire.mac(1), from: wire.mac(0) };
    const shape = { ...addresses, version: 4, transport: 'tcp' } as const;
    const made = superPacket({ ...shape, payloadLength: (SEGMENTS_PER_FRAME_MAX - 1) * 8 }, 8);
    for (let i = 0; i < FRAMES; i++) wire.sendPacket(0, made);
    wire.post(1);
    const arrivals: Arrival[] = [];
    const segments = SEGMENTS_PER_FRAME_MAX - 1;
    while (arrivals.length < FRAMES * segments) {
      const before = packetsOf(1);
      wire.host.turn();
      expect(packetsOf(1) - before).toBeLessThanOrEqual(2 * SEGMENTS_PER_FRAME_MAX);
      arrivals.push(...wire.arrivals(1));
    }
    while (arrivals.length > 0) {
      const parts = arrivals.splice(0, segments);
      expect(arrivalProblem(made, wire.guest(1).features, parts)).toBe('');
    }
    wire.run();
    expect(wire.allDrops(1)).toEqual({});
    expect(wire.host.stats().vfs[0]?.tx.bytes).toBe(FRAMES * made.frame.length);
  });

  function packetsOf(number: number): number {
    return wire.host.stats().vfs[number]?.rx.packets ?? 0;
  }
});
