import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DELIVERY_MISS_STREAK_MAX, DELIVERY_MISSES_MAX } from '../../layout/limits.ts';
import { TURN_BUSY, TURN_MISSED } from '../../layout/processor.ts';
import { DESCRIPTOR_SIZE } from '../../layout/virtqueue.ts';
import { BROADCAST, fillSeeded } from '../../src/testing/frames.ts';
import { Random } from '../../src/testing/random.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { CASES } from './cases.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { FORMATS } from './matrix.ts';
import { OffloadWire } from './offload-wire.ts';
import { netHeaderBytes, type Packet, superPacket } from './packets.ts';

const SENDER = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 2 };
/** Each buffer is in its own window. */
const SCATTERED = {
  features: PLAIN_FEATURES,
  frameSizeMax: 1600,
  slots: 100,
  memory: { sparse: true, regions: [{ guestAddress: 0, sizeBytes: 2 ** 34 }] },
};

// A partly delivered super-frame waits for a window. What can go wrong in the meantime?
describe.each(FORMATS)('segmentation that waits for windows, in %s rings', (format) => {
  let wire: OffloadWire;
  let isRewriting = false;
  const random = new Random(seedFromEnvironment(7));

  beforeEach(() => {
    const guests = [SENDER, SCATTERED, { ...SCATTERED, seed: 9 }];
    const packed = format === 'packed';
    wire = new OffloadWire(
      guests.map((guest) => ({ ...guest, packed })),
      { slotCount: 24 },
    );
    wire.postAll();
  });
  afterEach(() => {
    isRewriting = false;
    wire.close();
  });

  /** Runs until idle. At each miss, the sender may rewrite its frame. Returns the misses. */
  function run(made: Packet, atMiss: (misses: number) => void = () => {}): number {
    const { host } = wire;
    let misses = 0;
    for (let idle = 0; idle < 2; ) {
      const flags = host.turn();
      idle = (flags & (TURN_BUSY | TURN_MISSED)) === 0 ? idle + 1 : 0;
      if ((flags & TURN_MISSED) === 0) continue;
      misses += 1;
      atMiss(misses);
      if (isRewriting) rewrite(made);
    }
    return misses;
  }

  /** Overwrites the headers of the frame, wherever it is in the sender's memory. */
  function rewrite(made: Packet): void {
    const { memory } = wire.guest(0);
    const at = random.below(made.payload);
    const length = random.between(1, Math.min(8, made.payload - at));
    fillSeeded(memory.bytes.subarray(area.offset + at, area.offset + at + length), random.next());
  }

  let area: { address: number; offset: number };

  /** Sends a packet as one piece from a known address. */
  function sendInPlace(made: Packet): void {
    const { memory, pairs } = wire.guest(0);
    const header = netHeaderBytes(made.header);
    const span = memory.allocate(header.length + made.frame.length);
    memory.bytes.set(header, span.offset);
    memory.bytes.set(made.frame, span.offset + header.length);
    area = { address: span.address, offset: span.offset + header.length };
    pairs[0]?.transmit.reclaim();
    pairs[0]?.transmit.sendSpan(span.address, span.length);
    pairs[0]?.transmit.ring.publish();
  }

  it.each([
    ['', () => {}],
    [', even if the firmware loses its variables', () => wire.host.restart()],
  ])('delivers every case as without misses, with one ID for all fragments%s', (_, atMiss) => {
    let misses = 0;
    for (const { name, make } of CASES) {
      for (const to of [wire.mac(1), BROADCAST]) {
        const made = make({ to, from: wire.mac(0) });
        if (made.header.gsoSize > 1500 || made.header.gsoType === 0) continue;
        sendInPlace(made);
        misses += run(made, atMiss);
        for (const number of to === BROADCAST ? [1, 2] : [1]) {
          const { features } = wire.guest(number);
          expect(arrivalProblem(made, features, wire.arrivals(number)), name).toBe('');
        }
      }
    }
    expect(wire.allDrops(1)).toEqual({});
    expect(misses).toBeGreaterThan(1000);
    wire.run();
  });

  it('is not affected by a sender that rewrites its headers in the meantime', () => {
    isRewriting = true;
    let rewritten = 0;
    for (let round = 0; round < 4; round++) {
      for (const { make } of CASES) {
        const made = make({ to: BROADCAST, from: wire.mac(0) });
        sendInPlace(made);
        rewritten += run(made);
        for (const number of [1, 2]) {
          wire.arrivals(number); // checks the canaries of each buffer
          wire.guest(number).pair(0).receive.checkIdleBuffers();
        }
      }
    }
    expect(rewritten).toBeGreaterThan(1000);
    expect(wire.host.faults).toEqual([]);
    wire.run(); // every frame is accounted for
  });

  // A packed ring has no index that could break it.
  const whereItCan = format === 'split' ? it : () => {};
  whereItCan('keeps later frames intact if a ring breaks midway', () => {
    const pair = { version: 4, transport: 'tcp', payloadLength: 20_000 } as const;
    const made = superPacket({ ...pair, to: wire.mac(1), from: wire.mac(0) }, 1000);
    sendInPlace(made);
    const ring = wire.guest(1).ring(0);
    run(made, (misses) => {
      if (misses !== 6) return;
      ring.availIndex = (ring.availIndex + 5000) & 0xffff;
      ring.publish();
    });
    expect(wire.host.faults).toEqual([wire.host.ringNumber(1, 0)]);
    wire.run(); // the counters balance
    expect(wire.allDrops(1)).toEqual({ 'rx.ringStopped': 1 });
    const next = superPacket({ ...pair, to: wire.mac(2), from: wire.mac(0) }, 1000);
    wire.sendPacket(0, next);
    wire.run();
    expect(arrivalProblem(next, wire.guest(2).features, wire.arrivals(2))).toBe('');
  });

  it('keeps other frames intact if a port goes away midway', () => {
    const pair = { version: 4, transport: 'tcp', payloadLength: 20_000 } as const;
    const made = superPacket({ ...pair, to: BROADCAST, from: wire.mac(0) }, 1000);
    sendInPlace(made);
    // As if its guest stopped its queues: the frame is classified, and half of it is delivered.
    run(made, (misses) => {
      if (misses === 6) wire.host.setReceiveQueues(1, []);
    });
    wire.host.setReceiveQueues(1, [0]);
    for (const number of [1, 2]) {
      const { features } = wire.guest(number);
      expect(arrivalProblem(made, features, wire.arrivals(number))).toBe('');
    }
    const next = superPacket({ ...pair, to: wire.mac(2), from: wire.mac(0) }, 300);
    wire.sendPacket(0, next);
    wire.run(); // the counters balance
    expect(arrivalProblem(next, wire.guest(2).features, wire.arrivals(2))).toBe('');
  });

  it('is not held up by a receiver that moves its buffers at each miss', () => {
    const pair = { version: 4, transport: 'tcp', payloadLength: 20_000 } as const;
    const made = superPacket({ ...pair, to: BROADCAST, from: wire.mac(0) }, 1000);
    const { descriptors } = wire.guest(1).queue(0);
    const { memory } = wire.guest(1);
    sendInPlace(made);
    const misses = run(made, (count) => {
      if (count > 10 * DELIVERY_MISSES_MAX) throw new Error('it never ends');
      // Far outside the guest's memory, and each time at another address.
      for (let at = 0; at < descriptors.length; at += DESCRIPTOR_SIZE) {
        memory.view.setBigUint64(descriptors.offset + at, (1n << 40n) + BigInt(count << 22), true);
      }
    });
    expect(misses).toBeGreaterThan(DELIVERY_MISS_STREAK_MAX);
    expect(misses).toBeLessThan(DELIVERY_MISSES_MAX);
    expect(arrivalProblem(made, wire.guest(2).features, wire.arrivals(2))).toBe('');
  });
});
