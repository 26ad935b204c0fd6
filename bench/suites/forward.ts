// How fast one core switches frames between two ports, in a closed loop.

import { CoreClock, isDisturbed } from '../disturbance.ts';
import type { Generator, RingOptions } from '../generator.ts';
import type { Peer } from '../peers/peer.ts';
import type { Sample } from '../sample.ts';
import { withDriver, withGenerator } from './session.ts';
import { interleave, type SuiteContext } from './suite.ts';

/** Long enough for every frame to have gone round, caches and branch predictors to be warm, and
 * for V8 to have replaced its first, fast-made code of the firmware by the optimised one. */
export const warmUpSeconds = 0.5;

/** Simple IMIX: of 12 frames, 7 of 64 bytes, 4 of 576 and 1 of 1500, spread evenly. */
const mix = [64, 576, 64, 64, 576, 64, 1500, 64, 576, 64, 576, 64];
const mixFramesInFlight = 512;

/** Other kinds of rings than the usual one (split, mergeable buffers, in order, one queue pair). */
const variants: readonly { readonly name: string; readonly rings: RingOptions }[] = [
  { name: 'no mergeable buffers', rings: { isMergeable: false } },
  { name: 'any order', rings: { isInOrder: false } },
  { name: '2 queue pairs', rings: { queuePairs: 2 } },
];

const packedRingBit = 34n;

export async function runForward(context: SuiteContext): Promise<void> {
  const { rounds, forward } = context.profile;
  await interleave(context, rounds, 'forward', (peer, round) =>
    visit(context, peer, round, { name: '', rings: {} }, forward.frameSizes),
  );
  if (forward.variantSizes.length > 0) {
    for (const variant of variants) {
      await interleave(context, rounds, `forward, ${variant.name}`, (peer, round) =>
        visit(context, peer, round, variant, forward.variantSizes),
      );
    }
  }
  if (!forward.hasMix) return;
  const withoutPacked = new Set<string>();
  await interleave(context, rounds, 'forward, IMIX', (peer, round) =>
    visitMix(context, peer, round, withoutPacked),
  );
  for (const name of withoutPacked) {
    context.omit(`forward, packed rings, ${name}`, 'its GET_FEATURES does not offer RING_PACKED');
  }
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  variant: (typeof variants)[number],
  frameSizes: readonly number[],
): Promise<void> {
  await withGenerator(peer, 2, variant.rings, async (generator) => {
    for (const frameBytes of frameSizes) {
      context.record(await measure(context, peer, round, variant.name, generator, frameBytes));
    }
  });
}

async function measure(
  context: SuiteContext,
  peer: Peer,
  round: number,
  variant: string,
  generator: Generator,
  frameBytes: number,
): Promise<Sample> {
  let clock = new CoreClock(() => peer.cpuSeconds());
  let switchCores = 0;
  const loop = await generator.measure({
    frameBytes,
    warmUpSeconds,
    windowSeconds: context.profile.windowSeconds,
    onWindow(edge) {
      if (edge === 'begin') clock = new CoreClock(() => peer.cpuSeconds());
      else switchCores = clock.cores();
    },
  });
  const { mpps, generatorCores, framesLost } = loop;
  const size = `${frameBytes} B`;
  return {
    ...{ suite: 'forward', peer: peer.name, round, metric: 'rate', unit: 'Mpps', value: mpps },
    workload: variant === '' ? size : `${size}, ${variant}`,
    // The plot is of the usual rings.
    x: variant === '' ? frameBytes : null,
    isDisturbed: isDisturbed(switchCores, generatorCores),
    ...{ switchCores, generatorCores, details: { framesLost } },
  };
}

/** testpmd sends one size at a time; the project's own driver mixes them. */
async function visitMix(
  context: SuiteContext,
  peer: Peer,
  round: number,
  withoutPacked: Set<string>,
): Promise<void> {
  await withDriver(peer, 2, { frameBytes: mix }, async (driver, offered) => {
    if (((offered >> packedRingBit) & 1n) === 0n) withoutPacked.add(peer.name);
    const seconds = context.profile.windowSeconds;
    const { mpps, framesLost, switchCores, generatorCores } = await driver.loop({
      ...{ framesInFlight: mixFramesInFlight / 2, warmUpSeconds, seconds },
    });
    context.record({
      ...{ suite: 'forward', peer: peer.name, round, workload: 'IMIX', x: null },
      ...{ metric: 'rate', unit: 'Mpps', value: mpps, switchCores, generatorCores },
      isDisturbed: isDisturbed(switchCores, generatorCores),
      details: { framesLost },
    });
  });
}
