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

interface Variant {
  readonly name: string;
  readonly rings: RingOptions;
  /** A feature bit without which there are no such rings. */
  readonly feature?: { readonly name: string; readonly bit: bigint };
}

/** Split rings, mergeable buffers, in order, one queue pair. */
const usual: Variant = { name: '', rings: {} };

const variants: readonly Variant[] = [
  { name: 'no mergeable buffers', rings: { isMergeable: false } },
  { name: 'any order', rings: { isInOrder: false } },
  { name: '2 queue pairs', rings: { queuePairs: 2 } },
  {
    ...{ name: 'packed rings', rings: { isPacked: true } },
    feature: { name: 'RING_PACKED', bit: 34n },
  },
];

export async function runForward(context: SuiteContext): Promise<void> {
  const { name, rounds, forward } = context.profile;
  await interleave(context, rounds, 'forward', (peer, round) =>
    visit(context, peer, round, usual, forward.frameSizes),
  );
  const offers = forward.hasMix ? await runMix(context) : new Map<string, bigint>();
  if (forward.variantSizes.length === 0) {
    context.omit('forward, other kinds of rings', `not in the profile ${name}`);
    return;
  }
  for (const variant of variants) {
    const able = context.peers.filter((peer) => canHave(context, variant, peer, offers));
    await interleave({ ...context, peers: able }, rounds, `forward, ${variant.name}`, (peer, at) =>
      visit(context, peer, at, variant, forward.variantSizes),
    );
  }
}

function canHave(
  context: SuiteContext,
  { name, feature }: Variant,
  peer: Peer,
  offers: ReadonlyMap<string, bigint>,
): boolean {
  const offered = offers.get(peer.name);
  if (feature === undefined || offered === undefined) return true;
  if (((offered >> feature.bit) & 1n) === 1n) return true;
  context.omit(`forward, ${name}, ${peer.name}`, `it does not offer ${feature.name}`);
  return false;
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  variant: Variant,
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
  const size = `${frameBytes} B`;
  return {
    ...(await measureLoop(peer, generator, frameBytes, context.profile.windowSeconds)),
    ...{ suite: 'forward', round },
    workload: variant === '' ? size : `${size}, ${variant}`,
    // The plot is of the usual rings.
    x: variant === '' ? frameBytes : null,
  };
}

/** One window of testpmd's closed loop. */
export async function measureLoop(
  peer: Peer,
  generator: Generator,
  frameBytes: number,
  windowSeconds: number,
): Promise<Omit<Sample, 'suite' | 'round' | 'workload' | 'x'>> {
  let clock = new CoreClock(() => peer.cpuSeconds());
  let switchCores = 0;
  const loop = await generator.measure({
    ...{ frameBytes, warmUpSeconds, windowSeconds },
    onWindow(edge) {
      if (edge === 'begin') clock = new CoreClock(() => peer.cpuSeconds());
      else switchCores = clock.cores();
    },
  });
  const { mpps, generatorCores, framesLost } = loop;
  return {
    ...{ peer: peer.name, metric: 'rate', unit: 'Mpps', value: mpps },
    isDisturbed: isDisturbed(switchCores, generatorCores),
    ...{ switchCores, generatorCores, details: { framesLost } },
  };
}

/**
 * testpmd sends one size at a time; the project's own driver mixes them. Returns the features that
 * each peer offers, which this driver gets to see.
 */
async function runMix(context: SuiteContext): Promise<ReadonlyMap<string, bigint>> {
  const offers = new Map<string, bigint>();
  const { rounds, windowSeconds: seconds } = context.profile;
  const framesInFlight = mixFramesInFlight / 2;
  await interleave(context, rounds, 'forward, IMIX', (peer, round) =>
    withDriver(peer, 2, { frameBytes: mix }, async (driver, offered) => {
      offers.set(peer.name, offered);
      const loop = await driver.loop({ framesInFlight, warmUpSeconds, seconds });
      const { mpps, framesLost, switchCores, generatorCores } = loop;
      context.record({
        ...{ suite: 'forward', peer: peer.name, round, workload: 'IMIX', x: null },
        ...{ metric: 'rate', unit: 'Mpps', value: mpps, switchCores, generatorCores },
        isDisturbed: isDisturbed(switchCores, generatorCores),
        details: { framesLost },
      });
    }),
  );
  return offers;
}
