// The cost of guests whose buffers are spread over more memory than Heddle can map at once.
//
// Guest memory is mapped in windows of 4 MiB each; there are about 890 slots for them. The buffers
// are used cyclically, which is the worst order: with more windows than slots, every access misses.

import { SLOT_COUNT_MAX } from '../../layout/memory.ts';
import { isDisturbed } from '../disturbance.ts';
import type { Peer } from '../peers/peer.ts';
import { warmUpSeconds } from './forward.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext } from './suite.ts';

const guestCount = 2;
const framesInFlight = 256;

export async function runWindows(context: SuiteContext): Promise<void> {
  const { windows } = context.profile;
  for (const count of windows.counts) {
    await interleave(context, windows.rounds, `windows, ${count}`, (peer, round) =>
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
  const options = { chunks: count / guestCount, hasHugePages: false };
  await withDriver(peer, guestCount, options, async (driver) => {
    const seconds = context.profile.windowSeconds;
    const loop = await driver.loop({ framesInFlight, warmUpSeconds, seconds });
    const { mpps, framesLost, switchCores, generatorCores } = loop;
    context.record({
      ...{ suite: 'windows', peer: peer.name, round, workload: `${count} windows`, x: count },
      ...{ metric: 'rate', unit: 'Mpps', value: mpps, switchCores, generatorCores },
      isDisturbed: isDisturbed(switchCores, generatorCores),
      details: { slots: Number(SLOT_COUNT_MAX), framesLost },
    });
  });
}
