// The cost of a NIC whose VMs are silent: all rings are set up, and nothing moves.

import { setTimeout as sleep } from 'node:timers/promises';
import { CoreClock } from '../disturbance.ts';
import type { Peer } from '../peers/peer.ts';
import { sleepsOf } from '../proc.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext, withPorts } from './suite.ts';

const ringSize = 256;

/** One round: the figures are sums over seconds, which run-to-run noise does not change. */
export async function runIdle(context: SuiteContext): Promise<void> {
  for (const count of context.profile.idle.vfCounts) {
    const what = `idle, ${count} VFs`;
    await interleave(withPorts(context, what, count), 1, what, (peer, round) =>
      visit(context, peer, round, count),
    );
  }
}

async function visit(
  context: SuiteContext,
  peer: Peer,
  round: number,
  count: number,
): Promise<void> {
  await withDriver(peer, count, { ringSize, hasHugePages: false }, async () => {
    await sleep(context.profile.idle.settleSeconds * 1000);
    const wakeUps = () => peer.pids().reduce((sum, pid) => sum + sleepsOf(pid), 0);
    const before = wakeUps();
    const clock = new CoreClock(() => peer.cpuSeconds());
    await sleep(context.profile.idle.windowSeconds * 1000);
    const switchCores = clock.cores();
    const perSecond = (wakeUps() - before) / clock.elapsedSeconds;
    const common = {
      suite: 'idle',
      ...{ peer: peer.name, round, workload: `${count} VFs`, x: count },
      // Other work can only delay what little there is to do, not add to it.
      ...{ isDisturbed: false, switchCores, generatorCores: null },
    } as const;
    context.record({ ...common, metric: 'CPU', unit: '% of a core', value: switchCores * 100 });
    context.record({ ...common, metric: 'wake-ups', unit: '1/s', value: perSecond });
  });
}
