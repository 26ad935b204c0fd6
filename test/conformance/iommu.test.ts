import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES } from '../../src/testing/handshake.ts';
import { MockGuest, type MockGuestOptions } from '../../src/testing/mock-guest.ts';
import { MockIommu } from '../../src/testing/mock-iommu.ts';
import { ProtocolFeature } from '../../src/vhost-user/message.ts';
import { checkSame, exchange, flowFrames } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

const IOVA_OFFSET = 0x7_0000_1000;
const PAGE_SIZE = 4096;

interface Translated {
  guest: MockGuest;
  iommu: MockIommu;
}

describe('a guest behind an IOMMU', () => {
  let lab: TestNic;
  const open: Translated[] = [];

  afterEach(async () => {
    for (const { guest, iommu } of open.splice(0)) {
      guest.poll();
      iommu.close();
      guest.close();
    }
    await lab.finish();
  });

  async function connect(number: number, options: MockGuestOptions = {}): Promise<Translated> {
    const frontEnd = FrontEnd.connect(lab.socket(number));
    const guest = await MockGuest.negotiate(frontEnd, {
      seed: number + 1,
      ...options,
      features: [...(options.features ?? MODERN_FEATURES), VIRTIO_F_ACCESS_PLATFORM],
      protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
      memory: { iovaOffset: IOVA_OFFSET, ...options.memory },
    });
    expect(guest.negotiated.features.has(VIRTIO_F_ACCESS_PLATFORM)).toBe(true);
    const iommu = await MockIommu.attach(frontEnd, guest.queues.memory);
    const translated = { guest, iommu };
    open.push(translated);
    return translated;
  }

  async function start(translated: Translated, number: number): Promise<void> {
    await translated.guest.start();
    await translated.iommu.until(() => lab.nic.vf(`vf${number}`).rings.length === 2);
  }

  async function running(number: number, options: MockGuestOptions = {}): Promise<Translated> {
    const translated = await connect(number, options);
    await start(translated, number);
    return translated;
  }

  /** Sends frames one by one, and repeats each while its buffer waits for a translation. */
  async function deliver(
    frames: readonly Uint8Array[],
    sender: MockGuest,
    receiver: MockGuest,
  ): Promise<void> {
    const lost = () => JSON.stringify([lab.drops(0), lab.drops(1)]);
    for (const frame of frames) {
      for (let before = ''; before !== lost(); ) {
        before = lost();
        sender.send(frame);
        await sender.waitTransmitted();
      }
      checkSame([await receiver.nextFrame()], [frame]);
    }
  }

  function frames(from: number, to: number, count: number, seed = 1): Uint8Array[] {
    return flowFrames(lab.mac(to), lab.mac(from), { count, seed, lengthMax: 1400 });
  }

  for (const packed of [false, true]) {
    for (const processors of [1, 2]) {
      const format = packed ? 'packed' : 'split';
      it(`sends and receives, ${format} rings, ${processors} processors`, async () => {
        lab = await TestNic.start({ vfs: 2, processors });
        const { guest, iommu } = await running(0, { packed });
        const other = await lab.connect(1);
        await exchange(lab, [0, guest], [1, other], { count: 200, seed: 1 });
        await deliver(frames(1, 0, 200), other, guest);
        expect(iommu.misses.length).toBeGreaterThan(10);
        expect(lab.drops(1)).toEqual({});
      });
    }
  }

  it('exchanges frames with another one behind another IOMMU', async () => {
    lab = await TestNic.start({ vfs: 2 });
    const { guest } = await running(0);
    const other = await running(1);
    await deliver(frames(1, 0, 100), other.guest, guest);
    // Both use the same addresses, but their translations must not be confused.
    expect(other.iommu.misses.some(({ iova }) => iova >= BigInt(IOVA_OFFSET))).toBe(true);
  });

  it('starts each ring when the last of its pages is translated', async () => {
    lab = await TestNic.start({ vfs: 1 });
    const translated = await connect(0);
    const { guest, iommu } = translated;
    iommu.hold();
    await guest.start(); // acknowledged, although the rings do not run yet
    await iommu.waitMisses(4);
    expect(lab.nic.vf('vf0').rings).toEqual([]);
    await iommu.release();
    await iommu.until(() => lab.nic.vf('vf0').rings.length === 2);
    expect(lab.nic.vf('vf0').rings.map(({ state }) => state)).toEqual(['enabled', 'enabled']);
  });

  it('waits for a late translation while others continue', async () => {
    lab = await TestNic.start({ vfs: 3 });
    const { guest, iommu } = await running(0);
    const [left, right] = [await lab.connect(1), await lab.connect(2)];
    await exchange(lab, [0, guest], [1, left], { count: 10 });
    iommu.hold();
    const late = frames(0, 1, 20, 7);
    // Transmit buffers on pages that were never used.
    guest.queues.memory.allocate(64 * PAGE_SIZE);
    await iommu.invalidate(BigInt(IOVA_OFFSET), 1n << 40n).catch(() => undefined);
    for (const frame of late) guest.send(frame);
    await exchange(lab, [1, left], [2, right], { count: 300, seed: 3 });
    expect(left.received().length).toBe(0);
    await iommu.release();
    checkSame(await left.waitReceived(late.length), late);
    await guest.waitTransmitted();
  });

  it('loses a page: the invalidation is acknowledged once no processor uses it', async () => {
    lab = await TestNic.start({ vfs: 2 });
    const { guest, iommu } = await running(0);
    const other = await lab.connect(1);
    await exchange(lab, [0, guest], [1, other], { count: 50 });
    const before = iommu.misses.length;
    // All pages except those of the rings, which would stop.
    for (const { iova } of [...iommu.misses]) {
      if (!isOfRings(guest, iova)) await iommu.invalidate(iova);
    }
    expect(lab.nic.vf('vf0').state).toBe('ready');
    await exchange(lab, [0, guest], [1, other], { count: 50, seed: 2 });
    expect(iommu.misses.length).toBeGreaterThan(before);
  });

  it('continues after its rings were invalidated and translated again during traffic', async () => {
    lab = await TestNic.start({ vfs: 2 });
    const { guest, iommu } = await running(0);
    const other = await lab.connect(1);
    for (let round = 0; round < 5; round++) {
      const sent = frames(0, 1, 40, round);
      const arrived = other.waitReceived(sent.length);
      for (const frame of sent) guest.send(frame);
      await iommu.invalidate(0n, 0n); // everything
      checkSame(await arrived, sent);
      await guest.waitTransmitted();
      await deliver(frames(1, 0, 10, round), other, guest);
    }
  });

  it('trusts no translation from before a stop, during which changes are not reported', async () => {
    lab = await TestNic.start({ vfs: 2 });
    const { guest, iommu } = await running(0);
    const other = await lab.connect(1);
    await exchange(lab, [0, guest], [1, other], { count: 20 });
    const known = new Set(iommu.misses.map(({ iova }) => iova));
    for (const queue of [0, 1]) await guest.stopQueue(queue);
    iommu.misses.length = 0;
    iommu.policy = () => null;
    guest.queues.reset();
    await guest.start();
    await iommu.until(() => iommu.misses.length > 2);
    expect(
      iommu.misses.every(({ iova }) => known.has(iova)),
      'known pages, requested again',
    ).toBe(true);
    expect(lab.nic.vf('vf0').rings).toEqual([]);
  });

  function isOfRings(guest: MockGuest, iova: bigint): boolean {
    const page = Number(iova);
    return [0, 1].some((queue) => {
      const ring = guest.queues.queue(queue);
      return [ring.descriptors, ring.avail, ring.used].some(
        ({ address, length }) => address < page + PAGE_SIZE && address + length > page,
      );
    });
  }
});
