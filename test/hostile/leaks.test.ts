import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awaitCloses } from '../../src/os/closer.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { GuestMemory } from '../../src/testing/guest-memory.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { memoryTable, negotiate } from '../../src/testing/handshake.ts';
import { acquirePoller, type PollerLease } from '../../src/testing/shared-poller.ts';
import { FrontendRequest, writeMessage } from '../../src/vhost-user/message.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';

function mappingCount(): number {
  awaitCloses(); // each thread that closes has a stack
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length;
}

describe('connections without end', () => {
  let hostile: HostileLab;
  let lease: PollerLease;

  beforeAll(async () => {
    hostile = await HostileLab.start();
    lease = acquirePoller();
  });

  afterAll(async () => {
    lease.release();
    await hostile.close();
  });

  /** Repeats a session that must leak no descriptor, no mapping and hardly any memory. */
  async function repeat(times: number, session: (round: number) => Promise<void>): Promise<void> {
    await hostile.withBystanders(async () => {
      for (let round = 0; round < 50; round++) await session(round);
      const mappings = mappingCount();
      const resident = process.memoryUsage().rss;
      for (let round = 0; round < times; round++) await session(round);
      expect(mappingCount()).toBeLessThan(mappings + 100);
      expect(process.memoryUsage().rss).toBeLessThan(resident + 200 * 2 ** 20);
    });
  }

  it('10,000 front-ends that connect and disconnect, many in the middle of the handshake', async () => {
    const greeting = writeMessage(FrontendRequest.GET_FEATURES, 0, new Uint8Array(0));
    await repeat(10_000, async (round) => {
      const gone = hostile.lab.next('disconnect', ATTACKER);
      const frontEnd = FrontEnd.connect(hostile.lab.socket(ATTACKER));
      // In turn: nothing, part of a header, a whole request without waiting for its reply, and a
      // request with its reply.
      if (round % 4 === 1) frontEnd.sendRaw(greeting.subarray(0, round % 12));
      if (round % 4 === 2) frontEnd.sendRaw(greeting);
      if (round % 4 === 3) await frontEnd.ask('GET_FEATURES');
      frontEnd.close();
      await gone;
    });
  });

  it('front-ends that share their memory and disconnect', async () => {
    const memory = new GuestMemory();
    await repeat(500, async () => {
      const gone = hostile.lab.next('disconnect', ATTACKER);
      const frontEnd = FrontEnd.connect(hostile.lab.socket(ATTACKER));
      await negotiate(frontEnd, MODERN_FEATURES);
      const { payload, fds } = memoryTable(memory.regions);
      for (let i = 0; i < 3; i++) await frontEnd.send('SET_MEM_TABLE', payload, fds);
      frontEnd.close();
      await gone;
    });
    memory.close();
  });

  it('guests that are killed while their rings run', async () => {
    const memory = new GuestMemory();
    await repeat(200, async (round) => {
      const guest = await hostile.attack({ memory, queueSize: 64, slots: 4 });
      if (round % 2 === 1) guest.queues.ring(1).offerRaw(0, 10);
      guest.queues.ring(1).publish();
      guest.kick(1);
      await hostile.lab.disconnect(ATTACKER, guest);
    });
    memory.close();
  });
});
