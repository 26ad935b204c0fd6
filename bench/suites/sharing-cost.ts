// What limits cost when nobody reaches them: two NICs of the same build, in turns.

import { createHeddle, heddleName } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import { measureLoop, warmUpSeconds } from './forward.ts';
import { awake, type Pair, withGenerators } from './session.ts';
import { metrics } from './sharing-record.ts';
import type { SuiteContext } from './suite.ts';

export const limitedWorkload = '64 B, limits on all VFs';
export const unlimitedWorkload = '64 B, no limits';

const suite = 'sharing';
const frameBytes = 64;
const wakeUpSeconds = 0.6;
/** Far above what one processor forwards. */
const far = { txMax: 1e12, txMaxPackets: 1e9, rxMax: 1e12, rxMaxPackets: 1e9 };

/** The same frames as in the suite `forward`. An earlier build has no limits and is both. */
export async function runCost(context: SuiteContext): Promise<void> {
  const limited = createHeddle({ name: 'heddle with limits', words: far });
  const heddles = context.peers.filter(({ control }) => control !== undefined);
  const peers: readonly Peer[] = [limited, ...heddles];
  await withGenerators({ ...context, peers }, 'sharing, cost', {}, async (pairs) => {
    for (const pair of pairs) {
      const { peer, generator } = pair;
      await context.attempt(`sharing, cost, ${peer.name}, first frames`, async () => {
        await awake(pair, () => measureLoop(peer, generator, frameBytes, warmUpSeconds));
      });
    }
    for (let round = 0; round < context.profile.sharing.costRounds; round += 1) {
      const order = round % 2 === 0 ? pairs : pairs.toReversed();
      for (const pair of order) {
        const name = `sharing, cost, ${pair.peer.name}, round ${round + 1}`;
        await context.attempt(name, () => visit(context, pair, limited, round));
      }
    }
  });
}

async function visit(
  context: SuiteContext,
  pair: Pair,
  limited: Peer,
  round: number,
): Promise<void> {
  const { peer, generator } = pair;
  const seconds = context.profile.windowSeconds;
  const measured = await awake(pair, () =>
    measureLoop(peer, generator, frameBytes, seconds, wakeUpSeconds),
  );
  const isLimited = peer === limited;
  const common = { ...measured, suite, round, x: null, metric: metrics.rate } as const;
  const record = (workload: string) =>
    context.record({ ...common, workload, peer: isLimited ? heddleName : peer.name });
  if (isLimited || peer.name !== heddleName) record(limitedWorkload);
  if (!isLimited) record(unlimitedWorkload);
}
