// How long a pair waits for its frames beside VFs that send all they can.

import type { Driver } from '../driver/client.ts';
import type { PortWork } from '../driver/protocol.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { metrics, recordRow } from './sharing-record.ts';
import { interleave, type SuiteContext, withPorts } from './suite.ts';

/** What a guest takes to answer, and how much later answers may be than without the others. */
export const reactions = [
  { microseconds: 5, must: 2, aim: 1.5 },
  { microseconds: 15, must: 1.5, aim: 1.2 },
] as const;

const floodCount = 15;
const floods = Array.from({ length: floodCount }, (_, at) => 2 + at);
const quantiles = [0.5, 0.99, 0.999];
/** Of each measurement. Some switches take milliseconds for a trip beside floods. */
const secondsMax = 10;
const warmUpTrips = 20_000;

export function aloneWorkload(microseconds: number): string {
  return `ping-pong alone, reaction ${microseconds} µs`;
}

export function besideWorkload(microseconds: number): string {
  return `ping-pong beside ${floodCount} floods, reaction ${microseconds} µs`;
}

/** The floods send to each other, and every third to all. */
function workOf(port: number): PortWork {
  if (port < 2) return {};
  const next = port + 1 < 2 + floodCount ? port + 1 : 2;
  const frameBytes = [port % 2 === 0 ? 64 : 1500];
  return { to: port % 3 === 2 ? 'all' : next, frameBytes };
}

export async function runPing(context: SuiteContext): Promise<void> {
  const count = 2 + floodCount;
  const works = Array.from({ length: count }, (_, port) => workOf(port));
  const options = { ringSize: 256, hasHugePages: true, works };
  const able = withPorts(context, 'sharing, ping-pong', count);
  const { rounds } = context.profile.sharing;
  await interleave(able, rounds, 'sharing, ping-pong', (peer, round) =>
    withDriver(
      ...([peer, count, options] as const),
      async (driver) => {
        for (const { microseconds } of reactions) {
          await measure(context, peer, round, driver, microseconds);
        }
      },
      { greets: true },
    ),
  );
}

async function measure(
  context: SuiteContext,
  peer: Peer,
  round: number,
  driver: Driver,
  microseconds: number,
): Promise<void> {
  const quiet = { pauseMicroseconds: 0, loadMpps: 0, busyFrames: 0, quantiles, secondsMax };
  const plan = { ...quiet, reactionMicroseconds: microseconds };
  await driver.ping({ ...plan, count: warmUpTrips, reactionMicroseconds: 0, floods: [] });
  for (const [workload, others] of [
    [aloneWorkload(microseconds), []],
    [besideWorkload(microseconds), floods],
  ] as const) {
    const { trips: count } = context.profile.sharing;
    const answer = await driver.ping({ ...plan, count, floods: others });
    const [p50, p99, p999] = answer.quantiles;
    recordRow(
      { context, peer, round, workload },
      {
        values: {
          p50: [p50 ?? Number.NaN, 'µs'],
          [metrics.p99]: [p99 ?? Number.NaN, 'µs'],
          [metrics.p999]: [p999 ?? Number.NaN, 'µs'],
        },
        ...{ cores: answer, isSwitchBusy: others.length > 0, looks: [answer] },
        details: { trips: answer.trips, loadMpps: answer.loadMpps, lost: answer.lost },
      },
    );
  }
}
