import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BROADCAST } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { TestNic } from '../support/test-nic.ts';
import { CASES } from './cases.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { netHeaderBytes, type Packet } from './packets.ts';
import { burst, type Flow } from './tcp-streams.ts';

const HEADER_SIZE = 12;
const FRAMES = 32;
const SPAN = 70_000;
const ROUNDS = 200;
const REWRITES = 20_000;
const FLOW: Flow = {
  ...{ version: 6, tags: 0, hasTimestamps: true, step: 1 },
  ...{ sequence: 1, id: 1, size: 1400 },
};
const STEPS = Array.from({ length: FRAMES }, () => ({
  ...{ flow: 0, share: 1, change: 'none' as const },
}));

// A real double fetch: this thread rewrites virtio-net headers and frames while the processor's
// thread parses and segments them. Receivers check canaries, and a stray access would kill the
// processor.
describe('a guest that rewrites what it has sent', () => {
  let lab: TestNic;
  let attacker: MockGuest;
  let received = 0;

  beforeAll(async () => {
    lab = await TestNic.start({ vfs: 3 });
    attacker = await lab.connect(0, { features: ALL_FEATURES, isRaw: true, slots: 1 });
    const count = { onFrame: () => (received += 1) };
    await lab.connect(1, { features: PLAIN_FEATURES, frameSizeMax: 2000, ...count });
    const large = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 16 };
    await lab.connect(2, { ...large, ...count });
  });
  afterAll(() => lab.close());

  const anything = (random: Random): Packet[] =>
    Array.from({ length: FRAMES }, () =>
      random.pick(CASES).make({ to: BROADCAST, from: lab.mac(0) }),
    );
  const oneFlow = (): Packet[] => burst({ to: lab.mac(2), from: lab.mac(0) }, [FLOW], STEPS);

  it.each([
    { what: 'offloads', packets: anything },
    { what: 'GRO', packets: oneFlow },
  ])('never makes the NIC read or write outside its buffers: $what', async ({ packets }) => {
    const random = new Random(seedFromEnvironment(11));
    const { memory } = attacker.queues;
    const ring = attacker.queues.ring(1);
    const area = memory.allocate(FRAMES * SPAN);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, made] of packets(random).entries()) {
        const offset = area.offset + i * SPAN;
        memory.bytes.set(netHeaderBytes(made.header), offset);
        memory.bytes.set(made.frame, offset + HEADER_SIZE);
        ring.writeDescriptor(i, {
          address: BigInt(area.address + i * SPAN),
          length: made.frame.length + HEADER_SIZE,
          flags: 0,
        });
        ring.offerRaw(i);
      }
      ring.publish();
      attacker.kick(1);
      // Every other round restores each byte, so that even a slow processor, which sees many
      // rewrites, finds some frames that can be segmented.
      const isRestored = round % 2 === 1;
      for (let i = 0; i < REWRITES && ring.usedIndex !== ring.availIndex; i++) {
        const at = area.offset + random.below(FRAMES) * SPAN + random.below(100);
        const right = memory.bytes[at] ?? 0;
        memory.bytes[at] = random.next();
        if (isRestored) memory.bytes[at] = right;
      }
      await attacker.waitUsed(1, ring.availIndex);
    }
    lab.checkGuests();
    await lab.untilBalanced();
    for (const { restarts } of lab.nic.stats().processors) expect(restarts).toBe(0);
    for (const number of [1, 2]) expect(lab.stats(number).rx.faults).toBe(0);
    expect(received).toBeGreaterThan(100);
    if (packets === oneFlow) expect(lab.counter(2, 'rx.groMerged')).toBeGreaterThan(100);
    console.log(`rewritten while ${ROUNDS * FRAMES} frames were sent: ${received} arrived`);
  });
});
