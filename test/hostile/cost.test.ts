import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

const HEADER = 10;
const PAGE = 4096;
/** In the second half of a region, where nothing is allocated. */
const UNTOUCHED = 0x1_0100_0000;
/** Of header and frame: in many pages, a few bytes in each. */
const PACKET = 1280;

// Attacks on time instead of memory. The limits are generous, because a regression would be a
// hundred times slower.
describe('a guest that tries to be expensive', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(async () => {
    await hostile.close();
  });

  it('a chain of 1024 one-byte descriptors on every packet', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const size = 1024;
      const guest = await hostile.attack({ queueSize: size });
      const { memory } = guest.queues;
      const ring = guest.queues.ring(1);
      const span = memory.allocate(size);
      const frame = plainFrame({ to: lab.mac(TARGET), from: lab.mac(ATTACKER) }, size - HEADER);
      memory.bytes.fill(0, span.offset, span.offset + HEADER);
      memory.bytes.set(frame, span.offset + HEADER);
      for (let i = 0; i < size; i++) {
        const flags = i < size - 1 ? DESCRIPTOR_F_NEXT : 0;
        ring.writeDescriptor(i, {
          address: BigInt(span.address + i),
          length: 1,
          flags,
          next: i + 1,
        });
      }
      const rounds = 20;
      for (let round = 1; round <= rounds; round++) {
        ring.offerRaw(0, 100);
        ring.publish();
        guest.kick(1);
        for (const received of await target.waitReceived(100)) {
          expect(Buffer.compare(received, frame)).toBe(0);
        }
        await guest.waitUsed(1, round * 100);
      }
      expect(lab.drops(ATTACKER)).toEqual({});
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it.each([1, 16, 64])('frames in %i pages that nobody has touched before', async (pages) => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const size = 2048;
      const guest = await hostile.attack({ queueSize: size });
      const { memory } = guest.queues;
      const ring = guest.queues.ring(1);
      const piece = PACKET / pages;
      const packet = new Uint8Array(PACKET);
      const addresses = { to: lab.mac(TARGET), from: lab.mac(ATTACKER) };
      packet.set(plainFrame(addresses, PACKET - HEADER), HEADER);
      for (let i = 0; i < size; i++) {
        const span = memory.spanAt(UNTOUCHED + i * PAGE, piece);
        const from = (i % pages) * piece;
        memory.bytes.set(packet.subarray(from, from + piece), span.offset);
        const isLast = i % pages === pages - 1;
        const flags = isLast ? 0 : DESCRIPTOR_F_NEXT;
        ring.writeDescriptor(i, {
          address: BigInt(span.address),
          length: piece,
          flags,
          next: i + 1,
        });
        if (i % pages === 0) ring.offerRaw(i);
      }
      ring.publish();
      guest.kick(1);
      await guest.waitUsed(1, size / pages);
      const received = await target.waitReceived(1);
      expect(Buffer.compare(received[0]!, packet.subarray(HEADER))).toBe(0);
      await lab.disconnect(ATTACKER, guest);
    });
  });

  it('a whole ring of empty chains of 1024 descriptors, for every frame it receives', async () => {
    await hostile.withBystanders(async () => {
      const { lab, target } = hostile;
      const size = 32768;
      const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF];
      const guest = await hostile.attack({ queueSize: size, features });
      const ring = guest.queues.ring(0);
      for (let i = 0; i < 1024; i++) {
        const flags = DESCRIPTOR_F_WRITE | (i < 1023 ? DESCRIPTOR_F_NEXT : 0);
        ring.writeDescriptor(i, { address: 0n, length: 0, flags, next: i + 1 });
      }
      ring.offerRaw(0, size);
      ring.publish();
      const frame = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 100);
      const before = process.cpuUsage();
      await target.sendAll(Array.from({ length: 64 }, () => frame));
      await target.waitTransmitted();
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1000, 'milliseconds of all threads').toBeLessThan(3000);
      await lab.disconnect(ATTACKER, guest);
    });
  });
});
