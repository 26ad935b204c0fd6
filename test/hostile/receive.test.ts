import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
} from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { Span } from '../../src/testing/guest-memory.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { ATTACKER, HostileLab } from './hostile-lab.ts';

const QUEUE = 0;
const QUEUE_SIZE = 256;
const WRITE = DESCRIPTOR_F_WRITE;
const NEXT = DESCRIPTOR_F_NEXT;
const MERGEABLE = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_F_INDIRECT_DESC];

interface ReceiveCase {
  title: string;
  /** Writes the descriptors of buffers; returns their heads. */
  write: (guest: MockGuest, buffer: Span) => number[];
  /** Drop reason of the one frame that is sent, or null if it is delivered. */
  reason: string | null;
  /** Chains that come back although the frame is lost. */
  returned: number;
}

const at = (span: Span, skip = 0): bigint => BigInt(span.address + skip);

function one(
  fields: (
    guest: MockGuest,
    buffer: Span,
  ) => { address: bigint; length: number; flags: number; next?: number },
) {
  return (guest: MockGuest, buffer: Span): number[] => {
    guest.queues.ring(QUEUE).writeDescriptor(0, fields(guest, buffer));
    return [0];
  };
}

const CASES: readonly ReceiveCase[] = [
  {
    title: 'a read-only descriptor on receive',
    write: one((_, buffer) => ({ address: at(buffer), length: 2048, flags: 0 })),
    reason: 'bufferDirection',
    returned: 1,
  },
  {
    title: 'CVE-2020-10725: a buffer at an invalid address',
    write: one(() => ({ address: 0xdead_0000_0000_0000n, length: 2048, flags: WRITE })),
    reason: 'bufferAddress',
    returned: 1,
  },
  {
    title: 'OpenVMM #4047: address + length wraps 2^64',
    write: one(() => ({ address: 0xffff_ffff_ffff_ff00n, length: 2048, flags: WRITE })),
    reason: 'bufferAddress',
    returned: 1,
  },
  {
    title: 'CVE-2018-1059: a buffer that crosses the end of its memory region',
    write: one((guest) => {
      const region = guest.queues.memory.regions.at(-1);
      const end = BigInt((region?.guestAddress ?? 0) + (region?.sizeBytes ?? 0));
      return { address: end - 60n, length: 2048, flags: WRITE };
    }),
    reason: 'bufferAddress',
    returned: 1,
  },
  {
    title: 'next out of range',
    write: one((_, buffer) => ({ address: at(buffer), length: 8, flags: WRITE | NEXT, next: 999 })),
    reason: 'chainNext',
    returned: 1,
  },
  {
    title: 'a circular chain of empty buffers',
    write: one(() => ({ address: 0n, length: 0, flags: WRITE | NEXT, next: 0 })),
    reason: 'chainLength',
    returned: 1,
  },
  {
    title: 'a circular chain, written repeatedly (and longer than the frame)',
    write: one((_, buffer) => ({ address: at(buffer), length: 16, flags: WRITE | NEXT, next: 0 })),
    reason: null,
    returned: 1,
  },
  {
    title: 'an indirect table of length 0',
    write: one((_, buffer) => ({ address: at(buffer), length: 0, flags: DESCRIPTOR_F_INDIRECT })),
    reason: 'indirectTable',
    returned: 1,
  },
  {
    title: 'CVE-2021-3748, CVE-2022-26353: the second of two merged buffers is broken',
    write: (guest, buffer) => {
      const ring = guest.queues.ring(QUEUE);
      ring.writeDescriptor(0, { address: at(buffer), length: 64, flags: WRITE });
      ring.writeDescriptor(1, { address: 0x7777_0000_0000n, length: 64, flags: WRITE });
      return [0, 1];
    },
    reason: 'bufferAddress',
    returned: 2,
  },
  {
    title: 'buffers that are too small for the frame, even if merged',
    write: (guest, buffer) => {
      const ring = guest.queues.ring(QUEUE);
      ring.writeDescriptor(0, { address: at(buffer), length: 30, flags: WRITE });
      ring.writeDescriptor(1, { address: at(buffer, 64), length: 30, flags: WRITE });
      return [0, 1];
    },
    reason: 'ringFull',
    returned: 0,
  },
  {
    title: 'no buffer at all',
    write: () => [],
    reason: 'ringFull',
    returned: 0,
  },
];

describe('a hostile receive ring', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  function frameTo(number: number, length: number): Uint8Array {
    return plainFrame({ to: hostile.lab.mac(number), from: hostile.lab.mac(1) }, length);
  }

  /** The target sends to the attacker, and waits until the switch has finished. */
  async function sendToAttacker(frame: Uint8Array): Promise<void> {
    hostile.target.send(frame);
    await hostile.target.waitTransmitted();
  }

  for (const { title, write, reason, returned } of CASES) {
    it(title, async () => {
      await hostile.withBystanders(async () => {
        const guest = await hostile.attack({ queueSize: QUEUE_SIZE, features: MERGEABLE });
        const ring = guest.queues.ring(QUEUE);
        const buffer = guest.queues.memory.allocate(2048, 16);
        for (const head of write(guest, buffer)) ring.offerRaw(head);
        ring.publish();
        const moves = reason === null ? {} : { [`rx.drops.${reason}`]: 1 };
        await hostile.expectMoves(ATTACKER, moves, () => sendToAttacker(frameTo(ATTACKER, 100)));
        expect(ring.usedIndex).toBe(returned);
        // Buffers of a lost frame come back empty.
        ring.lastUsed = 0;
        for (let used = ring.popRaw(); used !== null && reason !== null; used = ring.popRaw()) {
          expect(used.length).toBe(0);
        }
        await hostile.lab.disconnect(ATTACKER, guest);
      });
    });
  }

  it('a frame longer than a buffer that cannot be merged', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
      const ring = guest.queues.ring(QUEUE);
      const buffer = guest.queues.memory.allocate(2048, 16);
      ring.writeDescriptor(0, { address: at(buffer), length: 64, flags: WRITE });
      ring.offerRaw(0, 2);
      ring.publish();
      await hostile.expectMoves(ATTACKER, { 'rx.drops.bufferTooSmall': 1 }, () =>
        sendToAttacker(frameTo(ATTACKER, 100)),
      );
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });

  for (const [title, breakIt] of [
    [
      'CVE-2016-5403: avail index ahead by more than the ring size',
      (ring) => (ring.availIndex = 999),
    ],
    ['an available entry beyond the table', (ring) => ring.offerRaw(QUEUE_SIZE)],
  ] as [string, (ring: ReturnType<MockGuest['queues']['ring']>) => void][]) {
    it(`${title}: the ring stops, its frames are counted`, async () => {
      await hostile.withBystanders(async () => {
        const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
        const ring = guest.queues.ring(QUEUE);
        breakIt(ring);
        ring.publish();
        const moves = { 'rx.faults': 1, 'rx.drops.ringStopped': 1 };
        await hostile.expectMoves(ATTACKER, moves, async () => {
          const fault = hostile.lab.next('fault', ATTACKER);
          await sendToAttacker(frameTo(ATTACKER, 100));
          await fault;
        });
        await hostile.lab.disconnect(ATTACKER, guest);
      });
    });
  }

  it('CVE-2020-16843: after a flood into a full ring, reception resumes', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const guest = await lab.connect(ATTACKER, { repost: false, receiveBuffers: 4 });
      const frames = Array.from({ length: 100 }, () => frameTo(ATTACKER, 60));
      await hostile.expectMoves(ATTACKER, { 'rx.drops.ringFull': 96 }, async () => {
        await target.sendAll(frames);
        await target.waitTransmitted();
        await guest.waitReceived(4);
      });
      for (let i = 0; i < 10; i++) {
        guest.post(0, 1);
        target.send(frameTo(ATTACKER, 200 + i));
        expect((await guest.nextFrame()).length).toBe(200 + i);
      }
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('CVE-2019-3900: a ring that is kept busy with tiny frames does not starve others', async () => {
    await hostile.withBystanders(async () => {
      const { lab } = hostile;
      const guest = await lab.connect(ATTACKER, { canaries: false, layout: 'shared' });
      const tiny = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(ATTACKER) }, 14);
      await guest.sendAll(Array.from({ length: 20_000 }, () => tiny));
      await guest.waitTransmitted();
      expect(lab.counter(ATTACKER, 'tx.drops.hairpin')).toBe(20_000);
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('buffers that overlap the ring itself', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack({ queueSize: QUEUE_SIZE });
      const ring = guest.queues.ring(QUEUE);
      for (const part of [ring.used, ring.avail, ring.descriptors]) {
        ring.writeDescriptor(0, { address: at(part), length: 1600, flags: WRITE });
        ring.offerRaw(0);
        ring.publish();
        await sendToAttacker(frameTo(ATTACKER, 1500));
      }
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });
});
