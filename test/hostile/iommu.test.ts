import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FrontEnd, RequestRefused } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES } from '../../src/testing/handshake.ts';
import { MockGuest } from '../../src/testing/mock-guest.ts';
import { MockIommu, READ, WRITE } from '../../src/testing/mock-iommu.ts';
import { type IotlbMessage, IotlbType, ProtocolFeature } from '../../src/vhost-user/message.ts';
import { flowFrames } from '../support/exchange.ts';
import { ATTACKER, HostileLab, TARGET } from './hostile-lab.ts';

const IOVA_OFFSET = 0x7_0000_1000;
const PAGE = 4096n;

/** What a front-end or a guest can do wrong with an IOMMU between them. */
describe('a hostile IOMMU', () => {
  let hostile: HostileLab;

  beforeAll(async () => {
    hostile = await HostileLab.start();
  });

  afterAll(() => hostile.close());

  interface Attack {
    guest: MockGuest;
    iommu: MockIommu;
  }

  /** Runs an attack by a guest behind an IOMMU, which is running by default. */
  async function attack(act: (attack: Attack) => Promise<void>, starts = true): Promise<void> {
    await hostile.withBystanders(async () => {
      const frontEnd = FrontEnd.connect(hostile.lab.socket(ATTACKER));
      const guest = await MockGuest.negotiate(frontEnd, {
        features: [...MODERN_FEATURES, VIRTIO_F_ACCESS_PLATFORM],
        protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
        memory: { iovaOffset: IOVA_OFFSET },
      });
      const iommu = await MockIommu.attach(frontEnd, guest.queues.memory);
      if (starts) {
        await guest.start();
        await iommu.until(() => hostile.lab.nic.vf('vf0').rings.length === 2);
      }
      try {
        await act({ guest, iommu });
      } finally {
        const gone = hostile.lab.next('disconnect', ATTACKER);
        iommu.close();
        guest.close();
        await gone;
      }
    });
  }

  const IN_MEMORY = 0x7e00_0000_0000n;
  const valid = {
    type: IotlbType.UPDATE,
    iova: 0n,
    sizeBytes: PAGE,
    userAddress: IN_MEMORY,
    access: 3,
  };
  const REFUSED: readonly [string, Partial<IotlbMessage>][] = [
    ['leads outside guest memory', { userAddress: 0x1000n }],
    ['extends beyond its region', { sizeBytes: 0x1000000n + PAGE }],
    ['wraps the I/O virtual addresses', { iova: 2n ** 64n - PAGE, sizeBytes: 2n * PAGE }],
    ['wraps the user addresses', { userAddress: 2n ** 64n - PAGE, sizeBytes: 2n * PAGE }],
    ['is empty', { sizeBytes: 0n }],
    ['is as long as possible', { sizeBytes: 2n ** 64n - PAGE }],
    ['starts within a page', { iova: 8n }],
    ['leads into the middle of a page', { userAddress: IN_MEMORY + 8n }],
    ['ends within a page', { sizeBytes: PAGE + 1n }],
    ['allows nothing', { access: 0 }],
    ['grants an unknown access', { access: 4 }],
    ['is a miss', { type: IotlbType.MISS }],
    ['is a failed access', { type: IotlbType.ACCESS_FAIL }],
    ['is of type 0', { type: 0 }],
    ['is of type 255', { type: 255 }],
  ];
  for (const [title, wrong] of REFUSED) {
    it(`refuses an update that ${title}`, async () => {
      await attack(async ({ iommu }) => {
        await expect(iommu.say({ ...valid, ...wrong })).rejects.toThrow(RequestRefused);
        await iommu.say(valid); // the connection still works
      });
    });
  }

  it('accepts every invalidation: invalidating too much is never wrong', async () => {
    await attack(async ({ iommu }) => {
      for (const [iova, size] of [
        [0n, 0n],
        [5n, 1n],
        [2n ** 64n - 1n, 2n ** 64n - 1n],
        [0n, 2n ** 64n - 1n],
      ] as const) {
        await iommu.invalidate(iova, size);
      }
    });
  });

  it('serves a guest whose translations are invalidated before every frame', async () => {
    await attack(async ({ guest, iommu }) => {
      const frames = flowFrames(hostile.lab.mac(TARGET), hostile.lab.mac(ATTACKER), { count: 50 });
      for (const frame of frames) {
        await iommu.invalidate(0n, 0n);
        guest.send(frame);
        await guest.waitTransmitted();
      }
    });
  });

  it('requests a translation that never comes only once, and a limited number in all', async () => {
    await attack(async ({ guest, iommu }) => {
      const before = iommu.misses.length;
      await iommu.invalidate(0n, 0n);
      iommu.hold();
      await iommu.waitMisses(before + 1);
      const to = hostile.lab.mac(ATTACKER);
      for (let i = 0; i < 2000; i++) {
        hostile.target.send(plainFrame({ to, from: hostile.lab.mac(TARGET) }, 60, i));
        await hostile.target.waitTransmitted();
      }
      expect(iommu.misses.length - before).toBeLessThanOrEqual(256);
      guest.send(plainFrame({ to: hostile.lab.mac(TARGET), from: to }, 60, 1));
    });
  });

  it('drops addresses that the IOMMU does not know, and counts them separately', async () => {
    await attack(async ({ guest }) => {
      const span = { address: 0x6666_0000_0000, offset: 0, length: 100 };
      await hostile.expectMoves(ATTACKER, { 'tx.drops.bufferAddress': 1 }, () =>
        guest.sendSpan(span, 88),
      );
      expect(hostile.lab.nic.vf('vf0').lastFault).toMatch('6666');
    });
  });

  it('reads nothing where only writing is allowed, and reports it', async () => {
    await attack(async ({ guest, iommu }) => {
      const span = guest.queues.memory.allocate(4096, 4096);
      await iommu.update(BigInt(span.address), PAGE, WRITE);
      await hostile.expectMoves(ATTACKER, { 'tx.drops.bufferAddress': 1 }, () =>
        guest.sendSpan(span, 100),
      );
      await iommu.until(() => iommu.accessFailures.length > 0);
      expect(iommu.accessFailures).toEqual([{ iova: BigInt(span.address), access: READ }]);
    });
  });

  it('writes nothing where only reading is allowed', async () => {
    await attack(async ({ guest, iommu }) => {
      // For all posted buffers and all later ones.
      iommu.policy = () => READ;
      for (const { iova } of [...iommu.misses]) {
        const isRing = [0, 1].some((queue) => {
          const { descriptors, avail, used } = guest.queues.queue(queue);
          return [descriptors, avail, used].some(
            ({ address, length }) =>
              BigInt(address) < iova + PAGE && BigInt(address + length) > iova,
          );
        });
        if (!isRing) await iommu.update(iova, PAGE, READ);
      }
      const to = hostile.lab.mac(ATTACKER);
      while (hostile.lab.drops(ATTACKER)['rx.bufferAddress'] === undefined) {
        hostile.target.send(plainFrame({ to, from: hostile.lab.mac(TARGET) }, 60, 1));
        await hostile.target.waitTransmitted();
      }
      expect(guest.received().length).toBe(0);
    });
  });

  it('survives a channel that is closed, and one that sends invalid replies', async () => {
    await attack(async ({ guest, iommu }) => {
      iommu.close();
      guest.send(
        plainFrame({ to: hostile.lab.mac(TARGET), from: hostile.lab.mac(ATTACKER) }, 60, 1),
      );
    });
    await attack(async ({ guest, iommu }) => {
      iommu.babble(new Uint8Array(4096).fill(0xff));
      await guest.frontEnd.ask('GET_FEATURES');
    });
  });

  it('starts no ring whose translations never come', async () => {
    await attack(async ({ guest, iommu }) => {
      iommu.policy = () => null;
      await guest.start();
      await iommu.waitMisses(3);
      expect(hostile.lab.nic.vf('vf0').rings).toEqual([]);
    }, false);
  });

  it('rejects IOTLB messages for a guest that is not behind an IOMMU', async () => {
    await hostile.withBystanders(async () => {
      const frontEnd = FrontEnd.connect(hostile.lab.socket(ATTACKER));
      const guest = await MockGuest.negotiate(frontEnd, {
        protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
      });
      const iommu = await MockIommu.attach(frontEnd, guest.queues.memory);
      await guest.start();
      await expect(iommu.say(valid)).rejects.toThrow(RequestRefused);
      const gone = hostile.lab.next('disconnect', ATTACKER);
      iommu.close();
      guest.close();
      await gone;
    });
  });
});
