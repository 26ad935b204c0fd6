// Limits that change while traffic flows: the picture of the report.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../../src/api/client.ts';
import type { Driver } from '../driver/client.ts';
import { relativeError } from '../fairness.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { isSharing, metrics, recordRow } from './sharing-record.ts';
import type { SuiteContext } from './suite.ts';

/** Followed by the name of the VF. */
export const changesWorkload = 'limits that change:';
export const phaseSeconds = 1;

/** In Gbit/s, of each VF. */
const phases = [
  [1, 2, 3, 4],
  [4, 3, 2, 1],
  [2, 2, 2, 2],
  [0.5, 0.5, 5, 5],
] as const;
const senders = [0, 1, 2, 3];
const sampleMilliseconds = 20;
const warmUpSeconds = 0.5;

export async function runChanges(context: SuiteContext): Promise<void> {
  const peer = context.peers.find(isSharing);
  if (peer === undefined) return;
  const works = [...senders.map(() => ({ to: senders.length, frameBytes: [1500] })), {}];
  const options = { works, hasHugePages: false };
  await context.attempt('sharing, limits that change', () =>
    withDriver(
      ...([peer, works.length, options] as const),
      (driver) => measure(context, peer, driver, peer.control!()),
      { greets: true },
    ),
  );
}

async function measure(
  context: SuiteContext,
  peer: Peer,
  driver: Driver,
  control: ControlClient,
): Promise<void> {
  const set = async (phase: readonly number[]) => {
    for (const [at, gigabits] of phase.entries()) {
      await control.setVf(`vm${at}`, { txMax: gigabits * 1e9 });
    }
  };
  await set(phases[0]);
  const seconds = phaseSeconds * phases.length;
  const running = driver.share({ senders, warmUpSeconds, seconds, sampleMilliseconds });
  const change = async () => {
    await sleep(warmUpSeconds * 1000);
    for (const phase of phases.slice(1)) {
      await sleep(phaseSeconds * 1000);
      await set(phase);
    }
  };
  const [answer] = await Promise.all([running, change()]);
  const mean = (of: (phase: readonly number[]) => number) =>
    phases.reduce((sum, phase) => sum + of(phase), 0) / phases.length;
  let elapsed = 0;
  const times = answer.sampleSeconds.map((length) => {
    elapsed += length;
    return elapsed.toFixed(3);
  });
  for (const [at, sender] of answer.senders.entries()) {
    const gigabits = sender.samples.map(
      (bytes, sample) => (bytes * 8) / answer.sampleSeconds[sample]! / 1e9,
    );
    const rate = (sender.bytes * 8) / answer.seconds / 1e9;
    const wanted = mean((phase) => phase[at]!);
    recordRow(
      { context, peer, round: 0, workload: `${changesWorkload} vm${at}` },
      {
        values: { [metrics.rateError]: [Math.abs(relativeError(rate, wanted)) * 100, '%'] },
        ...{ cores: answer, isSwitchBusy: false, looks: [sender], seconds: answer.seconds },
        details: {
          seconds: times.join(' '),
          gigabits: gigabits.map((one) => one.toFixed(3)).join(' '),
        },
      },
    );
  }
}
