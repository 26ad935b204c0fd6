import { afterEach, describe, expect, test } from 'vitest';
import { Generator, type RingOptions } from '../../bench/generator.ts';
import { reserveHugePages } from '../../bench/huge-pages.ts';
import { missingTestpmd, testpmdYear } from '../../bench/testpmd.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

const WINDOW_SECONDS = 1;
/** Short, because rates do not matter here. */
const WARM_UP_SECONDS = 0.1;
/** A loop only has the packets that it starts with, so none may be lost. */
const FRAME_BYTES = [64, 1500] as const;

interface Variant {
  readonly name: string;
  readonly rings: RingOptions;
  /** Features that must have been negotiated for the variant to be what its name says. */
  readonly expected: readonly string[];
  readonly unexpected?: readonly string[];
  /** The first year of DPDK whose virtio-user accepts the variant. */
  readonly dpdkYear?: number;
}

const SPLIT: readonly Variant[] = [
  { name: 'in_order=1', rings: { isInOrder: true }, expected: ['IN_ORDER', 'MRG_RXBUF'] },
  { name: 'in_order=0', rings: { isInOrder: false }, expected: [], unexpected: ['IN_ORDER'] },
  {
    name: 'mrg_rxbuf=0',
    rings: { isMergeable: false },
    expected: ['IN_ORDER'],
    unexpected: ['MRG_RXBUF'],
  },
  {
    name: 'mrg_rxbuf=1,in_order=0',
    rings: { isMergeable: true, isInOrder: false },
    expected: ['MRG_RXBUF'],
  },
  {
    name: 'vectorized=1',
    rings: { isVectorized: true, isMergeable: false },
    expected: ['IN_ORDER'],
  },
  { name: 'queues=4', rings: { queuePairs: 4 }, expected: ['MQ'] },
  { name: 'queues=8', rings: { queuePairs: 8 }, expected: ['MQ'] },
  {
    name: 'queues=16',
    rings: { queuePairs: 16, firstBursts: 16 },
    expected: ['MQ'],
    dpdkYear: 2024,
  },
];
const PACKED: readonly Variant[] = [
  { name: 'packed_vq=1', rings: { isPacked: true }, expected: ['RING_PACKED'] },
  {
    name: 'packed_vq=1,mrg_rxbuf=0,in_order=0',
    rings: { isPacked: true, isMergeable: false, isInOrder: false },
    expected: ['RING_PACKED'],
  },
  {
    name: 'packed_vq=1,mrg_rxbuf=0,vectorized=1',
    rings: { isPacked: true, isMergeable: false, isVectorized: true },
    expected: ['RING_PACKED', 'IN_ORDER'],
  },
  {
    name: 'packed_vq=1,queues=4',
    rings: { isPacked: true, queuePairs: 4 },
    expected: ['RING_PACKED', 'MQ'],
  },
];
const VARIANTS = [...SPLIT, ...PACKED];

function whyNot(): string {
  const missing = missingTestpmd();
  if (missing !== null) return missing;
  try {
    reserveHugePages(); // released when this process ends
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

const reason = whyNot();
if (reason !== '') console.log(`skipped: ${reason}`);

/**
 * virtio-user acknowledges the number of queue pairs to its driver before it tells the NIC, and
 * frames on a ring that is not enabled yet are discarded, as the standard requires.
 */
async function untilEnabled(lab: TestNic, queuePairs: number): Promise<void> {
  const isReady = (vf: string) =>
    lab.nic.vf(vf).rings.filter(({ state }) => state === 'enabled').length === queuePairs * 2;
  await waitUntil(
    () => isReady('vf0') && isReady('vf1'),
    () => ['vf0', 'vf1'].map((vf) => lab.nic.vf(vf).rings.map(({ state }) => state)),
  );
}

// Two virtio-user ports of one testpmd send the same frames back and forth: frames that are missing
// at the end were lost by the NIC.
describe('a closed loop through DPDK, ring by ring', () => {
  let lab: TestNic | undefined;
  let generator: Generator | undefined;

  afterEach(async () => {
    await generator?.stop();
    await lab?.close();
    generator = undefined;
    lab = undefined;
  });

  for (const { name, rings, expected, unexpected = [], dpdkYear } of VARIANTS) {
    test(`${name}: no frame lost`, async ({ skip }) => {
      skip(reason !== '', reason);
      if (dpdkYear !== undefined && testpmdYear() < dpdkYear) {
        skip(`virtio-user of DPDK before ${dpdkYear} refuses ${name}`);
      }
      // DPDK seals no memory.
      const vf = { allowUnsealedMemory: true, queuePairs: rings.queuePairs ?? 1 };
      lab = await TestNic.start({ vf });
      const sockets = [lab.socket(0), lab.socket(1)];
      generator = new Generator(sockets, 'listens', rings);
      await generator.connect();
      await untilEnabled(lab, rings.queuePairs ?? 1);
      const { features } = lab.nic.vf('vf0');
      expect(features).toEqual(expect.arrayContaining([...expected]));
      for (const feature of unexpected) expect(features).not.toContain(feature);
      for (const frameBytes of FRAME_BYTES) {
        const { framesLost, mpps } = await generator.measure({
          frameBytes,
          warmUpSeconds: WARM_UP_SECONDS,
          windowSeconds: WINDOW_SECONDS,
          onWindow: () => {},
        });
        console.log(`${name}, ${frameBytes} bytes: ${mpps.toFixed(2)} Mpps, ${framesLost} lost`);
        expect([lab.drops(0), lab.drops(1)], 'what the NIC says').toEqual([{}, {}]);
        expect(framesLost).toBe(0);
      }
      await generator.stop();
      generator = undefined;
      for (const number of [0, 1]) {
        expect(lab.drops(number)).toEqual({});
        expect(lab.stats(number).rx.faults + lab.stats(number).tx.faults).toBe(0);
        expect(lab.counter(number, 'rx.packets')).toBeGreaterThan(1000);
      }
      await lab.untilBalanced();
    });
  }
});
