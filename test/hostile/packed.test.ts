import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_WRAP,
} from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestMemory, Span } from '../../src/testing/guest-memory.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import type { PackedDescriptor } from '../../src/testing/packed-queue.ts';
import { Random } from '../../src/testing/random.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';
import { PACKED_CASES, PACKED_FEATURES, PACKED_SIZE, type PackedCase } from './packed-cases.ts';

const HEADER = 12;
const TRANSMIT = 1;
const RECEIVE = 0;
const FRAME_LENGTH = 100;

describe('a hostile packed ring', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  function attack(queueSize = PACKED_SIZE, features = PACKED_FEATURES): Promise<MockGuest> {
    return hostile.attack({ packed: true, queueSize, features, ringBase: queueSize - 3 });
  }

  function writePacket(memory: GuestMemory): Span {
    const { lab } = hostile;
    const span = memory.allocate(HEADER + FRAME_LENGTH, 16);
    memory.bytes.fill(0, span.offset, span.offset + HEADER);
    const frame = plainFrame({ to: lab.mac(TARGET), from: lab.mac(ATTACKER) }, FRAME_LENGTH);
    memory.bytes.set(frame, span.offset + HEADER);
    return span;
  }

  /** Makes chains available; resolves when the last has come back. Each is checked. */
  async function offer(guest: MockGuest, chains: readonly PackedDescriptor[][]): Promise<void> {
    const ring = guest.queues.packedRing(TRANSMIT);
    for (const chain of chains) {
      const place = ring.nextAvail;
      ring.offerRaw(...chain);
      guest.kick(TRANSMIT);
      await guest.waitUsedAt(TRANSMIT, place);
      const used = ring.readDescriptor(place & ~PACKED_WRAP);
      // The id is that of the chain's last descriptor, and nothing was written to the buffer.
      expect(used).toMatchObject({ id: chain.at(-1)?.id, length: 0 });
    }
  }

  async function run({ chains, reason, features }: PackedCase): Promise<void> {
    const { lab, target } = hostile;
    const guest = await attack(PACKED_SIZE, features);
    const { memory } = guest.queues;
    const ring = guest.queues.packedRing(TRANSMIT);
    const packet = writePacket(memory);
    const table = memory.allocate(PACKED_SIZE * 16, 16);
    const made = chains({ ring, memory, packet, table });
    const moves = reason === null ? {} : { [`tx.drops.${reason}`]: made.length };
    await hostile.expectMoves(ATTACKER, moves, () => offer(guest, made));
    // The same ring continues to work.
    const good = { address: BigInt(packet.address), length: packet.length, flags: 0, id: 0xabcd };
    await offer(guest, [[good]]);
    const frame = memory.bytes.slice(packet.offset + HEADER, packet.offset + packet.length);
    for (let count = reason === null ? made.length + 1 : 1; count > 0; count--) {
      expect(Buffer.from(await target.nextFrame()).equals(frame)).toBe(true);
    }
    await lab.disconnect(ATTACKER, guest);
  }

  for (const packedCase of PACKED_CASES) {
    it(packedCase.title, async () => {
      await hostile.withBystanders(() => run(packedCase));
    });
  }

  function emptyChain(length: number, flags = 0, isEndless = false): PackedDescriptor[] {
    return Array.from({ length }, (_, index) => {
      const next = isEndless || index < length - 1 ? DESCRIPTOR_F_NEXT : 0;
      return { address: 0n, length: 0, flags: flags | next, id: index };
    });
  }

  for (const [title, size, chains] of [
    ['an endless chain', PACKED_SIZE, [emptyChain(PACKED_SIZE, 0, true)]],
    ['a chain of 1025 descriptors in a ring of 32768', 32768, [emptyChain(1025)]],
    ['a ring of one descriptor with NEXT', 1, [emptyChain(1, 0, true)]],
  ] as const) {
    it(`${title}: the ring stops with a reason`, async () => {
      await hostile.withBystanders(async () => {
        const guest = await attack(size);
        const ring = guest.queues.packedRing(TRANSMIT);
        await hostile.expectMoves(ATTACKER, { 'tx.faults': 1 }, async () => {
          const fault = hostile.lab.next('fault', ATTACKER);
          for (const chain of chains) ring.offerRaw(...chain);
          guest.kick(TRANSMIT);
          await fault;
        });
        expect(hostile.lab.nic.vf('vf0').lastFault).toMatch(/chain/);
        await hostile.lab.disconnect(ATTACKER, guest);
      });
    });
  }

  it('an endless receive chain: that ring stops, the transmit ring continues', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const guest = await attack();
      const ring = guest.queues.packedRing(RECEIVE);
      ring.offerRaw(...emptyChain(PACKED_SIZE, DESCRIPTOR_F_WRITE, true));
      const moves = { 'rx.faults': 1, 'rx.drops.ringStopped': 1 };
      await hostile.expectMoves(ATTACKER, moves, async () => {
        const fault = lab.next('fault', ATTACKER);
        target.send(plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 100));
        await fault;
        await target.waitTransmitted();
      });
      const packet = writePacket(guest.queues.memory);
      const good = { address: BigInt(packet.address), length: packet.length, flags: 0, id: 5 };
      await offer(guest, [[good]]);
      expect((await target.nextFrame()).length).toBe(FRAME_LENGTH);
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('flags that are always available: at most one ring per turn, all others continue', async () => {
    await hostile.withBystanders(async () => {
      const guest = await attack(7);
      const ring = guest.queues.packedRing(TRANSMIT);
      for (let round = 0; round < 300; round++) {
        for (let i = 0; i < 2000; i++) {
          const flags = i % 14 < 7 ? PACKED_F_AVAIL : PACKED_F_USED;
          ring.writeDescriptor(i % 7, { address: 0n, length: 0, flags, id: i & 0xffff });
        }
        guest.kick(TRANSMIT);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(hostile.lab.counter(ATTACKER, 'tx.drops.headerShort')).toBeGreaterThan(0);
      await hostile.lab.disconnect(ATTACKER, guest);
    });
  });

  for (const queue of [TRANSMIT, RECEIVE]) {
    const name = queue === TRANSMIT ? 'transmit' : 'receive';
    it(`DPDK 285e6b8b18: everything is rewritten while the NIC reads (${name})`, async () => {
      await hostile.withBystanders(() => rewrite(queue));
    });
  }

  /** Overwrites random parts of a ring and its event structures, again and again. */
  async function rewrite(queue: number): Promise<void> {
    const { lab, target } = hostile;
    const features = [...PACKED_FEATURES, VIRTIO_NET_F_MRG_RXBUF];
    const random = new Random(queue + 17);
    const frame = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 400);
    for (let life = 0; life < 12; life++) {
      const guest = await attack(PACKED_SIZE, features);
      const { memory } = guest.queues;
      const ring = guest.queues.packedRing(queue);
      const packet = writePacket(memory);
      const direction = queue === RECEIVE ? DESCRIPTOR_F_WRITE : 0;
      for (let i = 0; i < 8000; i++) {
        const slot = random.below(PACKED_SIZE);
        const address = random.chance(0.1) ? BigInt(random.next()) << 24n : BigInt(packet.address);
        const lap = random.chance(0.5) ? PACKED_F_AVAIL : PACKED_F_USED;
        // NEXT is rare, so that chains end: a stopped ring cannot be attacked any more.
        const odd = random.chance(0.1) ? random.below(8) : 0;
        const length = random.chance(0.1) ? random.next() : random.below(packet.length + 1);
        const id = random.below(0x10000);
        ring.writeDescriptor(slot, { address, length, flags: lap | direction | odd, id });
        memory.u16[(ring.avail.offset >> 1) + random.below(2)] = random.below(0x10000);
        memory.u16[(ring.used.offset >> 1) + random.below(2)] = random.below(0x10000);
        if (i % 400 === 0) {
          guest.kick(queue);
          if (queue === RECEIVE) target.send(frame);
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      await target.waitTransmitted();
      target.inbox.drain();
      await lab.disconnect(ATTACKER, guest);
      target.inbox.drain();
    }
  }

  it('an event area that claims to be left by a NIC, with a position beyond the ring', async () => {
    await hostile.withBystanders(async () => {
      const { lab } = hostile;
      const guest = await attack();
      for (const queue of [RECEIVE, TRANSMIT]) {
        const ring = guest.queues.packedRing(queue);
        await guest.stopQueue(queue);
        for (const place of [PACKED_SIZE, 0x7fff, PACKED_SIZE | PACKED_WRAP, 0xffff]) {
          ring.reset();
          guest.queues.memory.u16[ring.used.offset >> 1] = place;
          guest.queues.memory.u16[(ring.used.offset >> 1) + 1] = 0x5a00;
          await guest.startQueue(queue);
          expect(await guest.stopQueue(queue)).toBe(ring.base);
        }
        await guest.startQueue(queue);
      }
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('a receive ring with 2049 empty buffers for one frame', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const guest = await attack(4096, [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF]);
      const ring = guest.queues.packedRing(RECEIVE);
      const empty = { address: 0n, length: 0, flags: DESCRIPTOR_F_WRITE, id: 0x7000 };
      for (let i = 0; i < 4096; i++) ring.offerRaw(empty);
      await hostile.expectMoves(ATTACKER, { 'rx.drops.chainLength': 1 }, async () => {
        const frame = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 500);
        target.send(frame, 'split');
        await target.waitTransmitted();
      });
      await lab.disconnect(ATTACKER, guest);
    });
  });
});
