import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FRAME_SIZE_MAX } from '../../layout/limits.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';
import {
  ATTACKER_FEATURES,
  QUEUE_SIZE,
  TABLE_ENTRIES_MAX,
  TRANSMIT_CASES,
  type TransmitCase,
  writePacket,
} from './transmit-cases.ts';

const QUEUE = 1;

describe('a hostile transmit ring', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  async function attack({ write, reason, features }: TransmitCase): Promise<void> {
    const { lab, target } = hostile;
    const guest = await hostile.attack({
      queueSize: QUEUE_SIZE,
      features: features ?? ATTACKER_FEATURES,
    });
    const { memory } = guest.queues;
    const ring = guest.queues.ring(QUEUE);
    const lastRegion = memory.regions.at(-1);
    if (lastRegion === undefined) throw new Error('assertion: no region');
    const packet = writePacket(memory, lab.mac(TARGET), lab.mac(ATTACKER));
    const table = memory.allocate(TABLE_ENTRIES_MAX * 16, 16);
    const heads = write({ ring, memory, packet, table, lastRegion });
    const moves = reason === null ? {} : { [`tx.drops.${reason}`]: heads.length };
    await hostile.expectMoves(ATTACKER, moves, async () => {
      for (const head of heads) ring.offerRaw(head);
      ring.publish();
      guest.kick(QUEUE);
      await guest.waitUsed(QUEUE, heads.length);
    });
    if (reason === null) {
      const frame = memory.bytes.slice(packet.offset + 10, packet.offset + packet.length);
      expect(Buffer.from(await target.nextFrame()).equals(frame)).toBe(true);
    }
    // The same ring continues to work.
    ring.writeDescriptor(9, { address: BigInt(packet.address), length: packet.length, flags: 0 });
    memory.bytes.fill(0, packet.offset, packet.offset + 10);
    ring.offerRaw(9);
    ring.publish();
    guest.kick(QUEUE);
    expect((await target.nextFrame()).length).toBe(100);
    await lab.disconnect(ATTACKER, guest);
  }

  for (const hostileCase of TRANSMIT_CASES) {
    it(hostileCase.title, async () => {
      await hostile.withBystanders(() => attack(hostileCase));
    });
  }

  it('a frame one byte longer than the maximum', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
      const { memory } = guest.queues;
      const ring = guest.queues.ring(QUEUE);
      const span = memory.allocate(FRAME_SIZE_MAX + 11);
      ring.writeDescriptor(0, { address: BigInt(span.address), length: span.length, flags: 0 });
      await hostile.expectMoves(ATTACKER, { 'tx.drops.giant': 1 }, async () => {
        ring.offerRaw(0);
        ring.publish();
        guest.kick(QUEUE);
        await guest.waitUsed(QUEUE, 1);
      });
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });

  for (const [title, ahead] of [
    ['CVE-2016-5403: avail index ahead by one more than the ring size', QUEUE_SIZE + 1],
    ['CVE-2016-5403: avail index ahead by half of its range', 0x8000],
    ['CVE-2016-5403: avail index behind its previous value', 0xffff],
  ] as const) {
    it(`${title}: the ring stops`, async () => {
      await hostile.withBystanders(async () => {
        const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
        await hostile.expectMoves(ATTACKER, { 'tx.faults': 1 }, async () => {
          const fault = hostile.lab.next('fault', ATTACKER);
          guest.queues.ring(QUEUE).availIndex = ahead;
          guest.queues.ring(QUEUE).publish();
          guest.kick(QUEUE);
          await fault;
        });
        await hostile.lab.disconnect(ATTACKER, guest);
      });
    });
  }

  for (const head of [QUEUE_SIZE, 0xffff]) {
    it(`an available entry that names descriptor ${head}: the ring stops`, async () => {
      await hostile.withBystanders(async () => {
        const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
        const ring = guest.queues.ring(QUEUE);
        await hostile.expectMoves(ATTACKER, { 'tx.faults': 1 }, async () => {
          const fault = hostile.lab.next('fault', ATTACKER);
          ring.offerRaw(head);
          ring.publish();
          guest.kick(QUEUE);
          await fault;
        });
        await hostile.lab.disconnect(ATTACKER, guest);
      });
    });
  }
});
