// How fast one core switches frames between two ports, in a closed loop.

import { CoreClock, isDisturbed } from '../disturbance.ts';
import type { Generator, RingOptions } from '../generator.ts';
import type { Peer } from '../peers/peer.ts';
import type { Sample } from '../sample.ts';
import { awake, type Pair, withDriver, withGenerators } from './session.ts';
import { interleave, type SuiteContext } from './suite.ts';

/**
 * Long enough for every frame to have circulated, for caches and branch predictors to be warm, and
 * for V8 to have replaced its first, quickly compiled code of the firmware by optimised code.
 */
export const warmUpSeconds = 0.5;
/**
 * For a pair that was stopped meanwhile: a switch has to regain its share of a cache that other
 * machines use too.
 */
const wakeUpSeconds = 0.6;

/** Simple IMIX: of 12 frames, 7 of 64 bytes, 4 of 576 and 1 of 1500, spread evenly. */
const mix = [64, 576, 64, 64, 576, 64, 1500, 64, 576, 64, 576, 64];
const mixFramesInFlight = 512;

interface Variant {
  readonly name: string;
  readonly rings: RingOptions;
  /** A feature bit that such rings need. */
  readonly feature?: { readonly name: string; readonly bit: bigint };
}

/** Split rings, mergeable buffers, in order, one queue pair. */
const usual: Variant = { name: '', rings: {} };

const variants: readonly Variant[] = [
  // QEMU's default size, with half of a ring in flight.
  { name: 'rings of 256, 256 frames', rings: { ringSize: 256, firstBursts: 4 } },
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
  await visitAll(context, forward.rounds, usual, forward.frameSizes);
  const offers = forward.hasMix ? await runMix(context) : new Map<string, bigint>();
  if (forward.variantSizes.length === 0) {
    context.omit('forward, other kinds of rings', `not in the profile ${name}`);
    return;
  }
  for (const variant of variants) {
    const able = context.peers.filter((peer) => canHave(context, variant, peer, offers));
    await visitAll({ ...context, peers: able }, rounds, variant, forward.variantSizes);
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

/** All peers are connected at once, and take turns at every size: A B C, then C B A. */
async function visitAll(
  context: SuiteContext,
  rounds: number,
  variant: Variant,
  frameSizes: readonly number[],
): Promise<void> {
  const what = `forward${variant.name === '' ? '' : `, ${variant.name}`}`;
  await withGenerators(context, what, variant.rings, async (pairs) => {
    for (const pair of pairs) {
      await context.attempt(`${what}, ${pair.peer.name}, first frames`, async () => {
        await visit(pair, frameSizes[0]!, warmUpSeconds);
      });
    }
    for (let round = 0; round < rounds; round += 1) {
      const order = round % 2 === 0 ? pairs : pairs.toReversed();
      for (const frameBytes of frameSizes) {
        for (const pair of order) {
          const name = `${what}, ${pair.peer.name}, round ${round + 1}`;
          await context.attempt(name, async () => {
            const measured = await visit(pair, frameBytes, context.profile.windowSeconds);
            context.record({ ...measured, ...placeOf(variant, frameBytes), round });
          });
        }
      }
    }
  });
}

function visit(pair: Pair, frameBytes: number, windowSeconds: number): Promise<LoopFigures> {
  const { peer, generator } = pair;
  return awake(pair, () => measureLoop(peer, generator, frameBytes, windowSeconds, wakeUpSeconds));
}

function placeOf({ name }: Variant, frameBytes: number): Pick<Sample, 'suite' | 'workload' | 'x'> {
  const size = `${frameBytes} B`;
  // The plot shows the usual rings only.
  if (name === '') return { suite: 'forward', workload: size, x: frameBytes };
  return { suite: 'forward', workload: `${size}, ${name}`, x: null };
}

type LoopFigures = Omit<Sample, 'suite' | 'round' | 'workload' | 'x'>;

/** One window of testpmd's closed loop. */
export async function measureLoop(
  peer: Peer,
  generator: Generator,
  frameBytes: number,
  windowSeconds: number,
  warmUp: number = warmUpSeconds,
): Promise<LoopFigures> {
  let clock = new CoreClock(() => peer.cpuSeconds());
  let switchCores = 0;
  const loop = await generator.measure({
    ...{ frameBytes, warmUpSeconds: warmUp, windowSeconds },
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
 * each peer offers, which this driver sees.
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
