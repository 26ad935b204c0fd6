// How fast one core switches frames between two ports.

import { framesInFlight, type LoopSample } from '../generator.ts';
import type { Peer } from '../peers/peer.ts';
import { pairedRatios, type Spread, spread } from '../statistics.ts';
import { withConnectedPorts } from './session.ts';

/** Long enough for every frame to have gone round, caches and branch predictors to be warm, and
 * for V8 to have replaced its first, fast-made code of the firmware by the optimised one. */
const warmUpSeconds = 0.5;

/** Both sides poll for as long as the loop is closed: what they did not get, someone else had. */
const undisturbedCores = 0.95;

export interface ForwardSample extends LoopSample {
  readonly peer: string;
  readonly round: number;
  /** CPU time of the switch, per second of the window. */
  readonly switchCores: number;
}

export interface ForwardOptions {
  readonly frameSizes: readonly number[];
  readonly rounds: number;
  readonly windowSeconds: number;
  onSample(sample: ForwardSample): void;
}

/** A B C A B C …: neighbours in time are compared, so a machine's moods hit all alike. */
export async function runForward(
  peers: readonly Peer[],
  options: ForwardOptions,
): Promise<ForwardSample[]> {
  const samples: ForwardSample[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    for (const peer of peers) {
      for (const sample of await visit(peer, round, options)) samples.push(sample);
    }
  }
  return samples;
}

async function visit(peer: Peer, round: number, options: ForwardOptions): Promise<ForwardSample[]> {
  return withConnectedPorts(peer, 2, async (generator) => {
    const samples: ForwardSample[] = [];
    for (const frameBytes of options.frameSizes) {
      let cpuSeconds = 0;
      const loop = await generator.measure({
        frameBytes,
        warmUpSeconds,
        windowSeconds: options.windowSeconds,
        onWindow(edge) {
          cpuSeconds = edge === 'begin' ? peer.cpuSeconds() : peer.cpuSeconds() - cpuSeconds;
        },
      });
      const switchCores = cpuSeconds / loop.windowSeconds;
      const sample = { peer: peer.name, round, ...loop, switchCores };
      options.onSample(sample);
      samples.push(sample);
    }
    return samples;
  });
}

export function isDisturbed({ switchCores, generatorCores }: ForwardSample): boolean {
  return Math.min(switchCores, generatorCores) < undisturbedCores;
}

export interface ForwardSummary {
  readonly peer: string;
  readonly frameBytes: number;
  readonly mpps: Spread;
  readonly switchCores: Spread;
  readonly generatorCores: Spread;
  /** Windows in which other work took the core of one side. */
  readonly disturbedCount: number;
  readonly framesLost: number;
  readonly framesInFlight: number;
}

export function summarizeForward(samples: readonly ForwardSample[]): ForwardSummary[] {
  return distinct(samples.map(({ frameBytes }) => frameBytes)).flatMap((frameBytes) =>
    distinct(samples.map(({ peer }) => peer)).map((peer) => {
      const own = select(samples, peer, frameBytes);
      return {
        peer,
        frameBytes,
        mpps: spread(own.map(({ mpps }) => mpps)),
        switchCores: spread(own.map(({ switchCores }) => switchCores)),
        generatorCores: spread(own.map(({ generatorCores }) => generatorCores)),
        disturbedCount: own.filter(isDisturbed).length,
        framesLost: own.reduce((sum, { framesLost }) => sum + framesLost, 0),
        framesInFlight,
      };
    }),
  );
}

export interface RatioSummary {
  readonly peer: string;
  readonly against: string;
  readonly frameBytes: number;
  readonly ratio: Spread;
  /** Rounds in which a window of either was disturbed. */
  readonly disturbedCount: number;
}

/** The first peer against each other one: the ratios of each round, and their spread. */
export function summarizeRatios(samples: readonly ForwardSample[]): RatioSummary[] {
  const [first, ...others] = distinct(samples.map(({ peer }) => peer));
  if (first === undefined) return [];
  return distinct(samples.map(({ frameBytes }) => frameBytes)).flatMap((frameBytes) =>
    others.map((against) => compare(samples, first, against, frameBytes)),
  );
}

function compare(
  samples: readonly ForwardSample[],
  peer: string,
  against: string,
  frameBytes: number,
): RatioSummary {
  const own = select(samples, peer, frameBytes);
  const other = select(samples, against, frameBytes);
  const rates = (side: readonly ForwardSample[]) => side.map(({ mpps }) => mpps);
  const ratio = spread(pairedRatios(rates(own), rates(other)));
  const isRoundDisturbed = (sample: ForwardSample, round: number) =>
    isDisturbed(sample) || isDisturbed(other[round]!);
  const disturbedCount = own.filter(isRoundDisturbed).length;
  return { peer, against, frameBytes, ratio, disturbedCount };
}

/** Ordered by round, because the rounds were run in order. */
function select(
  samples: readonly ForwardSample[],
  peer: string,
  frameBytes: number,
): ForwardSample[] {
  return samples.filter((sample) => sample.peer === peer && sample.frameBytes === frameBytes);
}

function distinct<Value>(values: readonly Value[]): Value[] {
  return [...new Set(values)];
}
