// How long a frame takes there and back between two ports, as the guests see it.
//
//   port 0 ──► switch ──► port 1      polling:   the next question follows the answer
//      ◄────── switch ◄──────         50 % load: and ports 2 to 3 carry half of what they could
//                                     idle:      the switch may sleep before each question

import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import type { PingRequest } from '../driver/protocol.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext } from './suite.ts';

const latencyQuantiles = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
  ['max', 1],
] as const;

/**
 * About half a second, the same for all. By then V8 has optimised both the firmware and the driver.
 */
const warmUpTrips = 500_000;
const capacitySeconds = 0.3;
const framesInFlight = 256;
const loadShare = 0.5;
/** Long enough for a switch that sleeps when it is idle to have fallen asleep. */
const pauseMicroseconds = 10_000;

export async function runLatency(context: SuiteContext): Promise<void> {
  await interleave(context, context.profile.rounds, 'latency', (peer, round) =>
    withDriver(peer, 4, {}, async (driver) => visit(context, peer, round, driver)),
  );
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  driver: Driver,
): Promise<void> {
  const { trips, idleTrips } = context.profile.latency;
  const busy = { count: trips, pauseMicroseconds: 0, loadMpps: 0, busyFrames: 0 };
  await ask(driver, { ...busy, count: warmUpTrips });
  const record = async (workload: string, request: PingPlan, isPolled: boolean) => {
    const answer = await ask(driver, request);
    const { switchCores, generatorCores, loadMpps, lost } = answer;
    for (const [index, [metric]] of latencyQuantiles.entries()) {
      context.record({
        ...{ suite: 'latency', peer: peer.name, round, workload, x: null },
        ...{ metric, unit: 'µs', value: answer.quantiles[index] ?? Number.NaN },
        isDisturbed: isPolled ? isDisturbed(switchCores, generatorCores) : generatorCores < 0.95,
        ...{ switchCores, generatorCores, details: { loadMpps, lost, trips: request.count } },
      });
    }
  };
  await record('polling', busy, true);
  const all = { framesInFlight, warmUpSeconds: capacitySeconds, seconds: capacitySeconds };
  const capacity = (await driver.loop(all)).mpps;
  // One of the four directions carries the load.
  await record('50 % load', { ...busy, loadMpps: capacity * loadShare }, true);
  await record('idle', { ...busy, count: idleTrips, pauseMicroseconds }, false);
}

type PingPlan = Omit<PingRequest, 'command' | 'quantiles'>;

function ask(driver: Driver, plan: PingPlan) {
  return driver.ping({ ...plan, quantiles: latencyQuantiles.map(([, quantile]) => quantile) });
}
