// How long a frame takes there and back between two ports, as the guests see it.
//
//   port 0 ──► switch ──► port 1      polling:   the next request follows the reply
//      ◄────── switch ◄──────         50 % load: ports 2 to 3 carry half of what they could
//                                     idle:      the switch may sleep before each request

import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import type { PingRequest } from '../driver/protocol.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext, withPorts } from './suite.ts';

const latencyQuantiles = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
  ['max', 1],
] as const;

/**
 * About half a second, the same for all. By then V8 has optimised both firmware and driver.
 */
const warmUpTrips = 500_000;
const capacitySeconds = 0.3;
const framesInFlight = 256;
const loadShare = 0.5;
/** Long enough for a switch that sleeps when idle to have gone to sleep. */
const pauseMicroseconds = 10_000;

/** One request after another, without other traffic. */
const unused = { floods: [], reactionMicroseconds: 0, secondsMax: 60 };
const quiet = { ...unused, loadMpps: 0, busyFrames: 0 };
const alone = { ...quiet, pauseMicroseconds: 0 };

/** Ports that send all they can, as guests do: with rings of QEMU's size. */
const busyPorts = 6;
const busyFrames = 128;
const busySizes = [60, 1496];
/** Each trip takes that much longer there. */
const busyTripsDivisor = 20;

export async function runLatency(context: SuiteContext): Promise<void> {
  const { rounds } = context.profile;
  await interleave(context, rounds, 'latency', (peer, round) =>
    withDriver(peer, 4, {}, async (driver) => visit(context, peer, round, driver)),
  );
  const what = `latency, ${busyPorts} busy ports`;
  const able = withPorts(context, what, 2 + busyPorts);
  await interleave(able, rounds, what, async (peer, round) => {
    for (const size of busySizes) await visitBusy(context, peer, round, size);
  });
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  driver: Driver,
): Promise<void> {
  const { trips, idleTrips } = context.profile.latency;
  const busy = { ...alone, count: trips };
  await ask(driver, { ...busy, count: warmUpTrips });
  const record = (workload: string, plan: PingPlan, isPolled: boolean) =>
    measure(context, peer, round, driver, { workload, plan, isPolled });
  await record('polling', busy, true);
  const all = { framesInFlight, warmUpSeconds: capacitySeconds, seconds: capacitySeconds };
  const capacity = (await driver.loop(all)).mpps;
  // One of the four directions carries the load.
  await record('50 % load', { ...busy, loadMpps: capacity * loadShare }, true);
  await record('idle', { ...busy, count: idleTrips, pauseMicroseconds }, false);
}

/** All frames have one size, including those that are measured. */
function visitBusy(
  context: SuiteContext,
  peer: Peer,
  round: number,
  frameBytes: number,
): Promise<void> {
  const options = { ringSize: 256, frameBytes: [frameBytes] };
  return withDriver(peer, 2 + busyPorts, options, async (driver) => {
    await ask(driver, { ...alone, count: warmUpTrips });
    const count = context.profile.latency.trips / busyTripsDivisor;
    const workload = `beside ${busyPorts} busy ports, ${frameBytes} B`;
    const plan = { ...alone, count, busyFrames };
    await measure(context, peer, round, driver, { workload, plan, isPolled: true });
  });
}

interface Work {
  readonly workload: string;
  readonly plan: PingPlan;
  /** The switch has no reason to sleep. */
  readonly isPolled: boolean;
}

async function measure(
  context: SuiteContext,
  peer: Peer,
  round: number,
  driver: Driver,
  { workload, plan, isPolled }: Work,
): Promise<void> {
  const answer = await ask(driver, plan);
  const { switchCores, generatorCores, loadMpps, lost } = answer;
  for (const [index, [metric]] of latencyQuantiles.entries()) {
    context.record({
      ...{ suite: 'latency', peer: peer.name, round, workload, x: null },
      ...{ metric, unit: 'µs', value: answer.quantiles[index] ?? Number.NaN },
      isDisturbed: isPolled ? isDisturbed(switchCores, generatorCores) : generatorCores < 0.95,
      ...{ switchCores, generatorCores, details: { loadMpps, lost, trips: plan.count } },
    });
  }
}

type PingPlan = Omit<PingRequest, 'command' | 'quantiles'>;

function ask(driver: Driver, plan: PingPlan) {
  return driver.ping({ ...plan, quantiles: latencyQuantiles.map(([, quantile]) => quantile) });
}
