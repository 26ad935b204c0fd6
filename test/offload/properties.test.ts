import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NET_HEADER_GSO_UDP, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import type { Span } from '../../src/testing/guest-memory.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { FORMATS } from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';
import {
  type Arrival,
  datagramToFragment,
  EXTENSION,
  netHeaderBytes,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
} from './packets.ts';
import { findHeaders, transportChecksum } from './reference.ts';

const HEADER_SIZE = 12;
const PIECES_MAX = 24;
const GAP = 16;
const CANARY = 0x5a;
const AREA_SIZE = 65553 + HEADER_SIZE + (PIECES_MAX + 1) * GAP;
const SEED = seedFromEnvironment(4);

const extension = fc.record({
  type: fc.constantFrom(EXTENSION.hopByHop, EXTENSION.destination, EXTENSION.routing),
  // Has no segments left, so the destination is the one in the IP header.
  body: fc.constantFrom(6, 14, 22).map((length) => new Uint8Array(length)),
});
const words = (limit: number) =>
  fc
    .integer({ min: 0, max: limit / 4 })
    .chain((count) => fc.uint8Array({ minLength: count * 4, maxLength: count * 4 }));
const shape: fc.Arbitrary<PacketShape> = fc.record({
  to: fc.constant(BROADCAST),
  from: fc.constant('02:00:00:00:00:01'),
  version: fc.constantFrom(4 as const, 6 as const),
  transport: fc.constantFrom('tcp' as const, 'udp' as const),
  tags: fc.array(fc.record({ type: fc.constantFrom(0x8100, 0x88a8), control: fc.nat(0xffff) }), {
    maxLength: 2,
  }),
  identification: fc.nat(0xffff),
  dontFragment: fc.boolean(),
  ipOptions: words(40),
  extensions: fc.array(extension, { maxLength: 3 }),
  tcpOptions: words(40),
  tcpFlags: fc.nat(255),
  sequence: fc.nat(0xffffffff),
  payloadLength: fc.integer({ min: 1, max: 9000 }),
  seed: fc.nat(),
});

type Kind = 'checksum' | 'segments' | 'fragments';

/** Any packet, split anywhere. At most 64 segments, so that every ring has room. */
const shot = fc
  .record({
    shape,
    kind: fc.constantFrom<Kind>('checksum', 'segments', 'segments', 'segments', 'fragments'),
    gsoSize: fc.integer({ min: 8, max: 9100 }),
    cuts: fc.array(fc.oneof(fc.nat(120), fc.nat(9200)), { maxLength: PIECES_MAX - 1 }),
  })
  .map(({ shape: one, kind, gsoSize, cuts }) => {
    const size = Math.max(gsoSize, 16, Math.ceil(one.payloadLength / 60));
    return { made: make(one, kind, size), cuts };
  });

function make(one: PacketShape, kind: Kind, size: number): Packet {
  if (kind === 'checksum') return packet(one);
  return kind === 'segments' ? superPacket(one, size) : datagramToFragment(one, size);
}

describe.each(FORMATS)('segmentation of random packets, in %s rings', (format) => {
  let wire: OffloadWire;
  let area: Span;

  beforeAll(() => {
    const plain = { features: PLAIN_FEATURES, queueSize: 1024, slots: 80, frameSizeMax: 9400 };
    const odd = {
      ...plain,
      features: [...PLAIN_FEATURES, VIRTIO_NET_F_MRG_RXBUF],
      bufferBytesMin: 1,
      bufferBytesMax: 277,
      slots: 1000,
    };
    const takesAll = { ...odd, features: [...ALL_FEATURES, VIRTIO_NET_F_MRG_RXBUF] };
    const sender = { features: ALL_FEATURES, slots: 1 };
    const guests = [sender, plain, odd, takesAll];
    const packed = format === 'packed';
    wire = new OffloadWire(
      guests.map((guest) => ({ ...guest, packed })),
      { slotCount: 64 },
    );
    wire.postAll();
    area = wire.guest(0).memory.allocate(AREA_SIZE, 64);
  });
  afterAll(() => wire.close());

  /** Sends header and frame as one chain, split at `cuts`, with canaries in the gaps. */
  function send(made: Packet, cuts: readonly number[]): void {
    const { memory, pairs } = wire.guest(0);
    const whole = Buffer.concat([netHeaderBytes(made.header), made.frame]);
    const ends = [...new Set([...cuts, whole.length])].filter((cut) => cut > 0);
    const sorted = ends.filter((cut) => cut <= whole.length).sort((a, b) => a - b);
    memory.bytes.fill(CANARY, area.offset, area.offset + area.length);
    const { transmit } = pairs[0] as (typeof pairs)[number];
    let at = GAP;
    let done = 0;
    for (const end of sorted) {
      memory.bytes.set(whole.subarray(done, end), area.offset + at);
      transmit.ring.piece(area.address + at, end - done, false);
      at += end - done + GAP;
      done = end;
    }
    transmit.ring.commit(done % 2 === 0);
    transmit.ring.publish();
  }

  it('equals the reference for all receivers, and the parts make up the whole', () => {
    fc.assert(
      fc.property(shot, ({ made, cuts }) => {
        send(made, cuts);
        wire.run();
        for (const number of [1, 2, 3]) {
          const arrivals = wire.arrivals(number);
          const { features, pairs } = wire.guest(number);
          expect(arrivalProblem(made, features, arrivals)).toBe('');
          if (number !== 3) checkParts(made, arrivals);
          pairs[0]?.receive.checkIdleBuffers();
          expect(wire.allDrops(number)).toEqual({});
        }
        expect(wire.allDrops(0)).toEqual({});
      }),
      { numRuns: 400, seed: SEED },
    );
  }, 120_000);

  /** Checks the parts themselves, without the reference. */
  function checkParts(made: Packet, arrivals: readonly Arrival[]): void {
    if (made.header.gsoType === NET_HEADER_GSO_UDP) checkFragments(made, arrivals);
    else checkSegments(made, arrivals);
  }

  function checkSegments(made: Packet, arrivals: readonly Arrival[]): void {
    const { gsoType, gsoSize } = made.header;
    const parts = arrivals.map(({ frame }) => frame);
    const payloads = parts.map((frame) => frame.subarray(findHeaders(frame).payload));
    expect(Buffer.concat(payloads).equals(made.frame.subarray(made.payload))).toBe(true);
    if (gsoType !== 0) for (const one of payloads) expect(one.length).toBeLessThanOrEqual(gsoSize);
    let sequence = view(made.frame).getUint32(made.l4 + 4);
    for (const [index, frame] of parts.entries()) {
      const { l4, protocol } = findHeaders(frame);
      const field = view(frame).getUint16(l4 + (protocol === 6 ? 16 : 6));
      // To a receiver, 0 and 0xffff are the same number.
      expect(field % 0xffff).toBe(transportChecksum(frame) % 0xffff);
      if (protocol !== 6) continue;
      expect(view(frame).getUint32(l4 + 4)).toBe(sequence);
      sequence = (sequence + (payloads[index]?.length ?? 0)) >>> 0;
    }
  }

  function checkFragments(made: Packet, arrivals: readonly Arrival[]): void {
    const extra = (made.frame[made.l3] as number) >> 4 === 6 ? 8 : 0;
    const parts = arrivals.map(({ frame }) => frame.subarray(made.l4 + extra));
    const whole = Buffer.concat(parts);
    // Compares everything except the checksum, which is in the first fragment.
    whole.copyWithin(6, 8);
    const sent = Buffer.from(made.frame.subarray(made.l4));
    sent.copyWithin(6, 8);
    expect(whole.equals(sent)).toBe(true);
    for (const part of parts.slice(0, -1)) expect(part.length % 8).toBe(0);
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(made.header.gsoSize);
  }

  function view(frame: Uint8Array): DataView {
    return new DataView(frame.buffer, frame.byteOffset, frame.length);
  }
});
