import { writeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import {
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CTRL_VQ,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { macBytes } from '../../src/state/mac-table.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { GuestMemory } from '../../src/testing/guest-memory.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES } from '../../src/testing/handshake.ts';
import { MockGuest, type MockGuestOptions } from '../../src/testing/mock-guest.ts';
import { MockIommu } from '../../src/testing/mock-iommu.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';
import { ProtocolFeature } from '../../src/vhost-user/message.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

/** The size of the NIC's windows, and more of them than it has slots: each access is a miss. */
const CHUNK = 0x400000;
const CHUNKS = 1000;
const FAR = 0x1_0000_0000;
const PAIRS = 16;
const ROUNDS = 300;
const NEXT = DESCRIPTOR_F_NEXT;
const WRITE = DESCRIPTOR_F_WRITE;

/** A guest that causes much work with little traffic: all others must be served as usual. */
describe('a guest that keeps the processor busy', () => {
  let hostile: HostileLab;
  let guest: MockGuest;
  const closers: (() => void)[] = [];

  afterEach(async () => {
    await hostile.close();
  });

  async function start(queuePairs = 1): Promise<void> {
    hostile = await HostileLab.start({ vf: { queuePairs } });
  }

  /** A guest with a region of that many chunks, shared with the NIC and hardly mapped here. */
  async function attackFromFar(chunks: number, options: MockGuestOptions): Promise<void> {
    const memory = new GuestMemory({ regions: [{ guestAddress: 0, sizeBytes: 0x2000000 }] });
    const regions = [{ guestAddress: FAR, sizeBytes: chunks * CHUNK }];
    const far = new GuestMemory({ regions, sparse: true, mappedBytesMax: CHUNK });
    memory.regions.push(...far.regions);
    closers.push(() => memory.close());
    guest = await hostile.attack({ memory, queueSize: 1024, slots: 1, ...options });
  }

  /** Repeats the work that `prepare` returns while the bystanders complete a number of rounds. */
  async function attack(prepare: () => Promise<() => void>): Promise<void> {
    await hostile.withBystanders(async () => {
      const act = await prepare();
      const end = hostile.rounds + ROUNDS;
      while (hostile.rounds < end) {
        act();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await hostile.lab.disconnect(ATTACKER, guest);
      for (const close of closers.splice(0)) close();
    });
  }

  /** Offers the heads in turn until `count` chains are in flight. */
  function keepOffering(queue: number, ring: SplitQueue, heads: number[], count: number): void {
    const under = (ring.availIndex - ring.usedIndex) & 0xffff;
    for (let i = under; i < count; i++) ring.offerRaw(heads[ring.availIndex % heads.length] ?? 0);
    if (ring.publish()) guest.kick(queue);
  }

  /** Chains of that many descriptors, each in another chunk than the previous one. */
  function writeFarChains(ring: SplitQueue, chain: number, length: number, flags: number): void {
    for (let i = 0; i < CHUNKS; i++) {
      const more = i % chain === chain - 1 ? 0 : NEXT;
      const address = BigInt(FAR + i * CHUNK);
      ring.writeDescriptor(i, { address, length, flags: flags | more, next: i + 1 });
    }
  }

  /**
   * One-byte frames in each chunk, addressed to the target. All zeros would be flooded, and would
   * fill the bystanders' rings if this thread is too slow to empty them.
   */
  function addressFarFrames(heads: readonly number[]): void {
    const { headerSize, memory } = guest.queues;
    const far = memory.regions.find(({ guestAddress }) => guestAddress === FAR);
    if (far === undefined) throw new Error('assertion: there is no memory from far');
    const { fd, fileOffset } = far;
    const target = macBytes(hostile.lab.mac(TARGET));
    for (const head of heads) {
      for (const [at, byte] of target.entries()) {
        const chunk = head + headerSize + at;
        writeSync(fd, Uint8Array.of(byte), 0, 1, fileOffset + chunk * CHUNK);
      }
    }
  }

  it('invalid commands, each over 140 windows', async () => {
    await start();
    await attack(breakCommands);
  });

  async function breakCommands(): Promise<() => void> {
    const length = 70;
    const chains = 14;
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_CTRL_VQ];
    await attackFromFar(2 * chains * length, { features });
    const queue = guest.queues.controlNumber;
    const ring = guest.queues.ring(queue);
    for (let i = 0; i < chains * length; i++) {
      const flags = i % length === length - 1 ? 0 : NEXT;
      // A byte on each side of the boundary between two windows.
      const address = BigInt(FAR + (2 * i + 1) * CHUNK - 1);
      ring.writeDescriptor(i, { address, length: 2, flags, next: i + 1 });
    }
    const heads = Array.from({ length: chains }, (_, chain) => chain * length);
    return () => keepOffering(queue, ring, heads, 900);
  }

  it.each([1, PAIRS])('frames in more windows than there are, %s rings', async (pairs) => {
    await start(pairs);
    await attack(async () => {
      await attackFromFar(CHUNKS, { queuePairs: pairs });
      const queues = Array.from({ length: pairs }, (_, pair) => pair * 2 + 1);
      for (const queue of queues) writeFarChains(guest.queues.ring(queue), 250, 1, 0);
      const heads = [0, 250, 500, 750];
      addressFarFrames(heads);
      return () => {
        for (const queue of queues) keepOffering(queue, guest.queues.ring(queue), heads, 30);
      };
    });
    expect(hostile.lab.stats(TARGET).rx.offered).toBeGreaterThan(0);
  });

  it('buffers in more windows than there are, for everything it receives', async () => {
    await start();
    await attack(async () => {
      await attackFromFar(CHUNKS, { features: [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF] });
      const ring = guest.queues.ring(0);
      writeFarChains(ring, 4, 40, WRITE);
      const heads = Array.from({ length: CHUNKS / 4 }, (_, chain) => chain * 4);
      const { lab, target } = hostile;
      const frame = plainFrame({ to: lab.mac(ATTACKER), from: lab.mac(TARGET) }, 140);
      return () => {
        keepOffering(0, ring, heads, 900);
        for (let i = 0; i < 128; i++) if (!target.send(frame, 'shared')) break;
      };
    });
  });

  it('buffers of 1024 descriptors, in 16 rings behind an IOMMU', async () => {
    await start(PAIRS);
    await attack(postLongBuffers);
  });

  async function postLongBuffers(): Promise<() => void> {
    const frontEnd = FrontEnd.connect(hostile.lab.socket(ATTACKER));
    guest = await MockGuest.negotiate(frontEnd, {
      features: [...MODERN_FEATURES, VIRTIO_F_ACCESS_PLATFORM],
      protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
      memory: { iovaOffset: 0x7_0000_1000, regions: [{ guestAddress: 0, sizeBytes: 0x4000000 }] },
      ...{ isRaw: true, queuePairs: PAIRS, queueSize: 1024, slots: 1 },
      queues: [...Array.from({ length: PAIRS }, (_, pair) => pair * 2), 1],
    });
    const { queues } = guest;
    const iommu = await MockIommu.attach(frontEnd, queues.memory);
    const span = queues.memory.allocate(4096, 4096);
    for (let pair = 0; pair < PAIRS; pair++) {
      const ring = queues.ring(pair * 2);
      for (let i = 0; i < 1024; i++) {
        const flags = WRITE | (i < 1023 ? NEXT : 0);
        ring.writeDescriptor(i, { address: BigInt(span.address), length: 1, flags, next: i + 1 });
      }
      ring.offerRaw(0, 1023);
      ring.publish();
    }
    await guest.start();
    await iommu.until(() => hostile.lab.nic.vf('vf0').rings.length === PAIRS + 1);
    // A small frame from the same page opens its window: the look-ahead opens none.
    const { lab } = hostile;
    const frame = plainFrame({ to: lab.mac(TARGET), from: lab.mac(ATTACKER) }, 60);
    queues.memory.bytes.set(frame, span.offset + 12);
    const transmit = queues.ring(1);
    transmit.writeDescriptor(0, { address: BigInt(span.address), length: 72, flags: 0 });
    closers.push(() => iommu.close());
    return () => keepOffering(1, transmit, [0], 1);
  }
});
