import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FRAME_SIZE_MAX } from '../../layout/limits.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import type { MockGuest, MockGuestOptions } from '../../src/testing/mock-guest.ts';
import type { Layout } from '../../src/testing/slot.ts';
import { exchange } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';

const FEATURES: readonly (readonly [string, number])[] = [
  ['MRG_RXBUF', VIRTIO_NET_F_MRG_RXBUF],
  ['INDIRECT_DESC', VIRTIO_F_INDIRECT_DESC],
  ['EVENT_IDX', VIRTIO_F_EVENT_IDX],
  ['IN_ORDER', VIRTIO_F_IN_ORDER],
  ['VERSION_1', VIRTIO_F_VERSION_1],
];
const LAYOUTS: readonly Layout[] = ['shared', 'separate', 'split'];

/** Every subset of the features that a driver may negotiate. */
function combinations(): { name: string; features: number[] }[] {
  return Array.from({ length: 2 ** FEATURES.length }, (_, mask) => {
    const chosen = FEATURES.filter((_, index) => ((mask >> index) & 1) === 1);
    const name = chosen.map(([feature]) => feature).join(' + ') || 'no feature';
    return { name, features: chosen.map(([, bit]) => bit) };
  });
}

const FORMATS = [
  { title: 'split', packed: false, sizes: [8, 16, 32, 64, 128, 256, 512, 1024] },
  // 2.8: all sizes except 0 and those above 32768 are valid.
  { title: 'packed', packed: true, sizes: [8, 11, 33, 64, 127, 256, 1000] },
] as const;

describe.each(FORMATS)('a $title virtqueue', ({ packed, sizes }) => {
  let lab: TestNic;

  beforeAll(async () => {
    lab = await TestNic.start();
  });

  afterAll(async () => {
    await lab.close();
  });

  /** The guests of VF 0 and VF 1 disconnect; every counter balances. */
  async function part(first: MockGuest, second: MockGuest): Promise<void> {
    lab.checkGuests();
    await lab.untilBalanced();
    await lab.disconnect(0, first);
    await lab.disconnect(1, second);
  }

  /** Two new guests exchange frames in both directions; afterwards every counter balances. */
  async function check(options: MockGuestOptions, count: number, buffersPerFrame = 1) {
    const before = lab.counter(0, 'tx.forwarded') + lab.counter(1, 'tx.forwarded');
    const first = await lab.connect(0, options);
    const second = await lab.connect(1, options);
    await exchange(lab, [0, first], [1, second], { count, buffersPerFrame, seed: 1 });
    await exchange(lab, [1, second], [0, first], { count, buffersPerFrame, seed: 2 });
    await part(first, second);
    const after = lab.counter(0, 'tx.forwarded') + lab.counter(1, 'tx.forwarded');
    expect(after - before).toBe(count * 2);
  }

  for (const { name, features } of combinations()) {
    it(`moves every frame with ${name}, with every layout and ring size`, async () => {
      for (const [index, queueSize] of sizes.entries()) {
        const layout = LAYOUTS[index % LAYOUTS.length] ?? 'random';
        const ringBase = index % 2 === 0 ? 0 : 65530;
        await check({ packed, features, queueSize, layout, ringBase, slots: 64 }, 24);
      }
    });
  }

  it('spreads frames over small mergeable buffers', async () => {
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF];
    await check({ packed, features, bufferBytesMin: 50, bufferBytesMax: 300 }, 100, 32);
  });

  it('moves super-frames of 64 KiB', async () => {
    const options = { packed, frameSizeMax: FRAME_SIZE_MAX, slots: 16 };
    const first = await lab.connect(0, options);
    const second = await lab.connect(1, options);
    const lengths = { count: 40, lengthMin: 60_000, lengthMax: FRAME_SIZE_MAX };
    await exchange(lab, [0, first], [1, second], lengths);
    await part(first, second);
  });

  // 2.7, 2.8: only packed rings may have sizes that are not powers of two.
  if (packed) {
    it('works with rings of few slots, down to one', async () => {
      for (const queueSize of [1, 2, 3, 5, 7]) {
        for (const ringBase of [0, queueSize * 3 - 1]) {
          await check({ packed, queueSize, ringBase, layout: 'shared' }, 50);
        }
      }
    });
  }

  it('exchanges frames with a ring of the other format', async () => {
    const first = await lab.connect(0, { packed });
    const second = await lab.connect(1, { packed: !packed });
    await exchange(lab, [0, first], [1, second], { count: 300, seed: 1 });
    await exchange(lab, [1, second], [0, first], { count: 300, seed: 2 });
    await part(first, second);
  });
});
