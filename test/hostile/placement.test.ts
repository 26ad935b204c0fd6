import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { RequestRefused } from '../../src/testing/front-end.ts';
import { GuestMemory } from '../../src/testing/guest-memory.ts';
import { addRegion, enableRing, removeRegion } from '../../src/testing/handshake.ts';
import { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import { writeU64, writeVringAddress, writeVringState } from '../../src/vhost-user/message.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

const SIZE = 256;

describe('rings and buffers in invalid places', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  /** Places the parts of ring 1 and starts it. */
  async function place(guest: MockGuest, parts: { desc: number; avail: number; used: number }) {
    const { frontEnd } = guest;
    await frontEnd.send('SET_VRING_NUM', writeVringState(1, SIZE));
    const payload = writeVringAddress({
      index: 1,
      flags: 0,
      descriptors: BigInt(parts.desc),
      avail: BigInt(parts.avail),
      used: BigInt(parts.used),
      log: 0n,
    });
    await frontEnd.send('SET_VRING_ADDR', payload);
    const kick = createEventFd();
    try {
      await frontEnd.send('SET_VRING_KICK', writeU64(1n), [kick]);
      await enableRing(frontEnd, 1, true);
    } finally {
      c.close(kick);
    }
  }

  async function withoutRings(use: (guest: MockGuest) => Promise<void>): Promise<void> {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack({ queues: [], queueSize: SIZE });
      try {
        await use(guest);
      } finally {
        await hostile.lab.disconnect(ATTACKER, guest);
      }
    });
  }

  for (const [title, shift] of [
    ['in an unmapped hole', 0x4000_0000],
    ['across the end of a memory region', 0x1000000 - 256],
    ['after the end of a memory region', 0x1000000],
  ] as const) {
    it(`CVE-2018-1059: a ring ${title} is refused`, async () => {
      await withoutRings(async (guest) => {
        const base = guest.queues.memory.regions[0]?.userAddress ?? 0;
        const parts = { desc: base, avail: base + 0x8000, used: base + 0x10000 };
        for (const part of ['desc', 'avail', 'used'] as const) {
          const broken = { ...parts, [part]: base + shift };
          await expect(place(guest, broken)).rejects.toThrow(RequestRefused);
        }
        await place(guest, parts);
      });
    });
  }

  it("a ring at an address of another VF's front-end is refused, or is the attacker's own", async () => {
    await withoutRings(async (guest) => {
      const other = hostile.target.queues.ring(1);
      const foreign = hostile.target.queues.memory.userAddressOf(other.descriptors.address);
      // Only its index and elements: the NIC writes the flags before them and the event index after
      // them whenever a processor goes to sleep.
      const first = other.used.offset + 2;
      const end = other.used.offset + 4 + 8 * other.size;
      const settled = () => hostile.target.queues.memory.bytes.subarray(first, end);
      const before = Buffer.from(settled());
      // Both front-ends use the same numbers, each for its own memory.
      const base = Math.floor(foreign / 16) * 16;
      await place(guest, { desc: base, avail: base, used: base });
      expect(before.equals(settled())).toBe(true);
    });
  });

  it('all parts of a ring at one address', async () => {
    await withoutRings(async (guest) => {
      const region = guest.queues.memory.regions[0];
      const base = region?.userAddress ?? 0;
      const { offset } = guest.queues.memory.spanAt(region?.guestAddress ?? 0, 65536);
      const random = new Random(3);
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 65536; i += 4) {
          guest.queues.memory.view.setUint32(offset + i, random.next(), true);
        }
        await place(guest, { desc: base, avail: base, used: base });
        await guest.frontEnd.ask('GET_VRING_BASE', writeVringState(1, 0));
      }
    });
  });

  it('two rings at one address', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack({ queues: [0], queueSize: SIZE });
      const ring = guest.queues.ring(0);
      const { memory } = guest.queues;
      const buffer = memory.allocate(2048, 16);
      const fields = { address: BigInt(buffer.address), length: 2048, flags: DESCRIPTOR_F_WRITE };
      for (let i = 0; i < SIZE; i++) ring.writeDescriptor(i, fields);
      ring.offerRaw(0, 100);
      ring.publish();
      await place(guest, {
        desc: memory.userAddressOf(ring.descriptors.address),
        avail: memory.userAddressOf(ring.avail.address),
        used: memory.userAddressOf(ring.used.address),
      });
      const { lab, target } = hostile;
      const frame = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 100);
      for (let i = 0; i < 50; i++) {
        target.send(frame);
        await target.waitTransmitted();
      }
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('regions that start in the middle of a page', async () => {
    await hostile.withBystanders(async () => {
      const memory = new GuestMemory({
        regions: [
          { guestAddress: 0x1000, sizeBytes: 0x800000 },
          { guestAddress: 0x1000_0230, sizeBytes: 0x800123 },
        ],
      });
      const guest = await MockGuest.connect(hostile.lab.socket(ATTACKER), { memory });
      for (let i = 0; i < 40; i++) {
        const to = hostile.lab.mac(TARGET);
        const frame = plainFrame({ to, from: hostile.lab.mac(ATTACKER) }, 60 + i * 30, i);
        guest.send(frame);
        expect(Buffer.from(await hostile.target.nextFrame()).equals(frame)).toBe(true);
      }
      await hostile.lab.disconnect(ATTACKER, guest);
      memory.close();
    });
  });

  it('a region under a running ring is not removed', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack();
      for (const region of guest.queues.memory.regions) {
        await expect(removeRegion(guest.frontEnd, region)).rejects.toThrow(/refused/);
      }
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });

  it('509 regions and no more', async () => {
    await hostile.withBystanders(async () => {
      const guest = await hostile.attack();
      const { memory } = guest.queues;
      for (let i = memory.regions.length; i < 509; i++) {
        const region = memory.addRegion({ guestAddress: 2 ** 40 + i * 0x10000, sizeBytes: 4096 });
        await addRegion(guest.frontEnd, region);
      }
      const surplus = memory.addRegion({ guestAddress: 2 ** 41, sizeBytes: 4096 });
      await expect(addRegion(guest.frontEnd, surplus)).rejects.toThrow(RequestRefused);
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });

  it('DPDK 285e6b8b18: a driver that rewrites everything while the NIC reads it', async () => {
    await hostile.withBystanders(async () => {
      const { lab } = hostile;
      const guest = await hostile.attack({ queueSize: SIZE });
      const { memory } = guest.queues;
      const ring = guest.queues.ring(1);
      const packet = memory.allocate(4096, 16);
      const frame = plainFrame({ to: lab.mac(TARGET), from: lab.mac(ATTACKER) }, 1000);
      memory.bytes.fill(0, packet.offset, packet.offset + packet.length);
      memory.bytes.set(frame, packet.offset + 10);
      const random = new Random(11);
      for (let round = 0; round < 200; round++) {
        for (let i = 0; i < SIZE; i++) {
          const address = random.chance(0.1)
            ? BigInt(random.next()) << 24n
            : BigInt(packet.address);
          const flags = random.chance(0.2) ? random.below(8) : random.below(2) * DESCRIPTOR_F_NEXT;
          const length = random.chance(0.1) ? random.next() : random.below(1500);
          ring.writeDescriptor(i, { address, length, flags, next: random.below(SIZE + 8) });
          memory.bytes[packet.offset + random.below(20)] = random.next();
          ring.offerRaw(i);
        }
        // Now the NIC's thread reads while this one keeps writing.
        ring.publish();
        guest.kick(1);
        for (let i = 0; i < 2000; i++) {
          const index = random.below(SIZE) * 16 + ring.descriptors.offset;
          memory.view.setUint32(index + random.below(4) * 4, random.next(), true);
        }
        hostile.target.inbox.drain();
        await guest.waitUsed(1, ring.availIndex);
      }
      hostile.target.inbox.drain();
      await lab.disconnect(ATTACKER, guest);
    });
  });
});
