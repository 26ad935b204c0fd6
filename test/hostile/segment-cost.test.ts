import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  PACKED_WRAP,
  RING_LAST_AVAIL,
} from '../../layout/virtqueue.ts';
import { threadCpuMicroseconds } from '../../src/os/cpu-time.ts';
import type { Span } from '../../src/testing/guest-memory.ts';
import { ALL_FEATURES } from '../offload/feature-sets.ts';
import { OffloadWire } from '../offload/offload-wire.ts';
import { superPacket } from '../offload/packets.ts';

const SIZE = 32768;
const SENDER = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 32 };
const RECEIVER = { features: [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF], queueSize: SIZE };
/** CPU time that one turn may use. A regression would use ten times as much. */
const TURN_MS_MAX = 5;

/** CPU time of this thread, without other processes and the garbage collector's threads. */
function usedMs(): number {
  return threadCpuMicroseconds() / 1000;
}

interface Buffers {
  title: string;
  /** Descriptors of each buffer, and the size of the last one in bytes. */
  chain: number;
  bytes: number;
}

// Super-frames with the smallest segments, for a receiver that makes each as expensive as it can.
describe.each([false, true])(
  'a receiver of super-frames with expensive buffers, packed: %s',
  (packed) => {
    let wire: OffloadWire;

    afterEach(() => {
      wire.close();
    });

    /** Posts as many buffers as there is room for. */
    function post({ chain, bytes }: Buffers, buffer: Span, free: number): void {
      const flagsOf = (i: number) => DESCRIPTOR_F_WRITE | (i < chain - 1 ? DESCRIPTOR_F_NEXT : 0);
      const lengthOf = (i: number) => (i < chain - 1 ? 0 : bytes);
      const address = BigInt(buffer.address);
      if (packed) {
        const ring = wire.guest(1).packedRing(0);
        const descriptors = Array.from({ length: chain }, (_, i) => ({
          ...{ address, length: lengthOf(i), flags: flagsOf(i), id: i },
        }));
        for (let used = 0; used + chain <= free; used += chain) ring.offerRaw(...descriptors);
        return;
      }
      const ring = wire.guest(1).ring(0);
      for (let i = 0; i < chain; i++) {
        const fields = { address, length: lengthOf(i), flags: flagsOf(i), next: i + 1 };
        ring.writeDescriptor(i, fields);
      }
      ring.offerRaw(0, free);
      ring.publish();
    }

    /** Slots that the device has not read yet. */
    function outstanding(): number {
      const taken = wire.host.ringWord(1, 0, RING_LAST_AVAIL);
      if (!packed) return (wire.guest(1).ring(0).availIndex - taken) & 0xffff;
      const { nextAvail } = wire.guest(1).packedRing(0);
      const slots = (nextAvail & ~PACKED_WRAP) - (taken & ~PACKED_WRAP);
      return ((nextAvail ^ taken) & PACKED_WRAP) === 0 ? slots : slots + SIZE;
    }

    const CASES: readonly Buffers[] = [
      { title: 'plain ones', chain: 1, bytes: 2048 },
      { title: 'chains of 8 descriptors', chain: 8, bytes: 2048 },
      { title: 'chains of 64 descriptors for one byte', chain: 64, bytes: 1 },
      { title: 'chains of 1024 empty descriptors', chain: 1024, bytes: 0 },
      { title: 'chains of 1024 descriptors for a segment', chain: 1024, bytes: 2048 },
      { title: 'single bytes', chain: 1, bytes: 1 },
    ];

    it.each(CASES)('occupies the processor for a few milliseconds at most: $title', (buffers) => {
      wire = new OffloadWire([SENDER, { ...RECEIVER, packed }]);
      let free = SIZE;
      const buffer = wire.guest(1).memory.allocate(4096);
      const shape = { version: 4, transport: 'tcp', payloadLength: 8 * 2048 } as const;
      const made = superPacket({ ...shape, to: wire.mac(1), from: wire.mac(0) }, 8);
      let longest = 0;
      for (let round = 0; round < 4; round++) {
        post(buffers, buffer, free);
        for (let i = 0; i < 30; i++) wire.sendPacket(0, made);
        for (let turns = 0; turns < 40; turns++) {
          const start = usedMs();
          wire.host.turn();
          // The first round compiles code and maps windows.
          if (round > 0) longest = Math.max(longest, usedMs() - start);
        }
        wire.host.run(); // what waits for buffers is dropped in the end
        free = SIZE - outstanding();
        wire.guest(0).pair(0).transmit.reclaim();
      }
      expect(longest).toBeLessThan(TURN_MS_MAX);
      expect(wire.host.faults).toEqual([]);
    });
  },
);
