// What a NIC costs whose VFs have all used up their maximum: it sleeps until the first may go on.

import type { Peer } from '../peers/peer.ts';
import { sleepsOf } from '../proc.ts';
import { withDriver } from './session.ts';
import { isSharing, metrics, recordRow, shareFor } from './sharing-record.ts';
import { interleave, type SuiteContext } from './suite.ts';

/** txMax of each VF, in Mbit/s. */
const loads: readonly (readonly number[])[] = [
  [1, 1, 1, 1, 1, 1, 1, 1],
  [1, 10, 100, 1, 10, 100, 1, 10],
];
const frameBytes = 1500;
/** At 1 Mbit/s, some 80 frames a second. */
const seconds = 5;
const warmUpSeconds = 0.5;

function heldWorkload(megabits: readonly number[]): string {
  const [low, high] = [Math.min(...megabits), Math.max(...megabits)];
  const range = low === high ? `${low}` : `${low} to ${high}`;
  return `held: ${megabits.length} VFs at txMax ${range} Mbit`;
}

export async function runHeld(context: SuiteContext): Promise<void> {
  const { rounds } = context.profile.sharing;
  const heddles = { ...context, peers: context.peers.filter(isSharing) };
  for (const load of loads) {
    await interleave(heddles, rounds, `sharing, ${heldWorkload(load)}`, (peer, round) =>
      visit(context, peer, round, load),
    );
  }
}

function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  load: readonly number[],
): Promise<void> {
  const sink = load.length;
  const works = [...load.map(() => ({ to: sink, frameBytes: [frameBytes] })), {}];
  return withDriver(
    ...([peer, works.length, { works, ringSize: 256, hasHugePages: false }] as const),
    async (driver) => {
      for (const [at, megabits] of load.entries()) {
        await peer.control!().setVf(`vm${at}`, { txMax: megabits * 1e6 });
      }
      const sleeps = () => peer.pids().reduce((sum, pid) => sum + sleepsOf(pid), 0);
      const before = sleeps();
      const answer = await shareFor(driver, [...load.keys()], seconds, warmUpSeconds);
      const perSecond = (sleeps() - before) / (answer.seconds + warmUpSeconds);
      const errors = answer.senders.map(({ bytes }, at) =>
        Math.abs((bytes * 8) / answer.seconds / (load[at]! * 1e6) - 1),
      );
      recordRow(
        { context, peer, round, workload: heldWorkload(load) },
        {
          values: {
            [metrics.cpu]: [answer.switchCores * 100, '% of a core'],
            [metrics.wakeUps]: [perSecond, '1/s'],
            [metrics.rateError]: [Math.max(...errors) * 100, '%'],
          },
          ...{ cores: answer, isSwitchBusy: false, looks: answer.senders, seconds: answer.seconds },
        },
      );
    },
    { greets: true },
  );
}
