// The highest rate that a switch forwards from port 0 to port 1 without losing a frame.

import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import type { OfferAnswer } from '../driver/protocol.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext } from './suite.ts';

/** Frames on a wire have a checksum that frames in a virtual machine do not. */
const checksumBytes = 4;
const warmUpSeconds = 0.3;
const framesInFlight = 256;
/** More than any of the switches can forward: what arrives is its maximum. */
const floodMpps = 60;
const floodSeconds = 0.2;
const searchSteps = 7;
/**
 * A shared machine occasionally takes a core away, and a ring fills up. That can only cause losses,
 * never hide them, so a rate counts as held if one of a few trials is without loss.
 */
const trialsPerRate = 4;

export async function runOpenLoop(context: SuiteContext): Promise<void> {
  const { openLoop } = context.profile;
  for (const wireBytes of openLoop.wireSizes) {
    await interleave(context, openLoop.rounds, `open loop, ${wireBytes} B`, (peer, round) =>
      visit(context, peer, round, wireBytes),
    );
  }
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  wireBytes: number,
): Promise<void> {
  const seconds = context.profile.openLoop.trialSeconds;
  await withDriver(peer, 2, { frameBytes: [wireBytes - checksumBytes] }, async (driver) => {
    await driver.loop({ framesInFlight, warmUpSeconds, seconds: warmUpSeconds });
    const flood = await driver.offer({ mpps: floodMpps, seconds: floodSeconds });
    const saturation = flood.delivered / flood.seconds / 1e6;
    const { mpps, last } = await searchLossless(driver, saturation, seconds);
    const { switchCores, generatorCores } = last ?? flood;
    context.record({
      ...{ suite: 'open-loop', peer: peer.name, round, workload: `${wireBytes} B`, x: wireBytes },
      ...{ metric: 'highest lossless rate', unit: 'Mpps', value: mpps },
      isDisturbed: isDisturbed(generatorCores, flood.switchCores),
      ...{ switchCores, generatorCores, details: { saturation } },
    });
  });
}

interface Found {
  readonly mpps: number;
  /** The trial with the highest rate that was held. */
  readonly last: OfferAnswer | null;
}

/** Bisection, to about a hundredth of the switch's maximum. */
async function searchLossless(driver: Driver, saturation: number, seconds: number): Promise<Found> {
  let [held, lost] = [0, saturation * 1.2];
  let last: OfferAnswer | null = null;
  for (let step = 0; step < searchSteps; step += 1) {
    const mpps = (held + lost) / 2;
    const trial = await tryRate(driver, mpps, seconds);
    if (trial === null) lost = mpps;
    else [held, last] = [mpps, trial];
  }
  return { mpps: held, last };
}

async function tryRate(driver: Driver, mpps: number, seconds: number): Promise<OfferAnswer | null> {
  for (let trial = 0; trial < trialsPerRate; trial += 1) {
    const result = await driver.offer({ mpps, seconds });
    if (result.delivered === result.offered) return result;
  }
  return null;
}
