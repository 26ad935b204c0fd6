// What the rows of the suite `sharing` have in common: names of figures, and when they are void.

import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../../src/api/client.ts';
import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import type { Cores, ShareAnswer, ShareRequest } from '../driver/protocol.ts';
import { heddleName } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import type { SuiteContext } from './suite.ts';

export const metrics = {
  rateError: 'rate error',
  windows: 'windows within 5 %',
  jain: "Jain's index",
  p99: 'p99',
  p999: 'p99.9',
  utilisation: 'utilisation',
  guarantee: 'part of the guarantee',
  rate: 'rate',
  goodput: 'goodput',
  handOver: 'hand-over',
  part: 'part',
  cpu: 'CPU',
  wakeUps: 'wake-ups',
} as const;

/** Earlier builds may have no words for it. */
export function isSharing({ name }: Peer): boolean {
  return name === heddleName;
}

/** Of the looks of the driver at its rings, those that may find one empty … */
const emptyShareMax = 0.001;
/** … and for which part of the time: a driver that lost its core looks late, but only once. */
const emptyTimeMax = 0.005;
/** Seconds per second. */
const waitsMax = 0.02;
const sampleMilliseconds = 10;
/** Accounts are read well within the window in which all floods run. */
const marginSeconds = 0.05;

interface Looks {
  readonly looks: number;
  readonly emptyLooks: number;
  readonly emptySeconds?: number;
}

/** One row of one peer in one round. */
export interface Row {
  readonly context: SuiteContext;
  readonly peer: Peer;
  readonly round: number;
  readonly workload: string;
}

interface Figures {
  /** By metric: value and unit. */
  readonly values: Readonly<Record<string, readonly [value: number, unit: string]>>;
  readonly cores: Cores;
  /** Whether the switch has work all the time, so that it never sleeps. */
  readonly isSwitchBusy: boolean;
  readonly looks: readonly Looks[];
  /** Of the window in which the looks were. */
  readonly seconds?: number;
  readonly details?: Readonly<Record<string, number | string>>;
}

export function recordRow({ context, peer, round, workload }: Row, figures: Figures): void {
  const { switchCores, switchWaits, generatorCores } = figures.cores;
  const emptyShare = emptyShareOf(figures.looks);
  const emptyTime = emptyTimeOf(figures.looks, figures.seconds ?? Number.POSITIVE_INFINITY);
  const isVoid = emptyShare > emptyShareMax || emptyTime > emptyTimeMax;
  const sides = figures.isSwitchBusy ? [switchCores, generatorCores] : [generatorCores];
  // A switch that sleeps most of the time lacks its core as well if others have it then.
  const hasWaited = switchWaits > waitsMax;
  for (const [metric, [value, unit]] of Object.entries(figures.values)) {
    context.record({
      ...{ suite: 'sharing', peer: peer.name, round, workload, x: null, metric, unit, value },
      isVoid,
      isDisturbed: isVoid || hasWaited || isDisturbed(...sides),
      ...{ switchCores, generatorCores },
      details: { emptyShare, emptyTime, switchWaits, ...figures.details },
    });
  }
}

/** Of the sender that has most of them: others had what it did not ask for. */
function emptyShareOf(all: readonly Looks[]): number {
  return Math.max(0, ...all.map(({ looks, emptyLooks }) => emptyLooks / Math.max(looks, 1)));
}

function emptyTimeOf(all: readonly Looks[], seconds: number): number {
  return Math.max(0, ...all.map(({ emptySeconds = 0 }) => emptySeconds)) / seconds;
}

export function shareFor(
  driver: Driver,
  senders: readonly number[],
  seconds: number,
  warmUpSeconds: number,
): Promise<ShareAnswer> {
  return driver.share({ senders, warmUpSeconds, seconds, sampleMilliseconds });
}

export interface Accounted {
  readonly answer: ShareAnswer;
  /** Processor time of each sender, in ns. */
  readonly work: readonly number[];
  /** Of one processor's time, what was charged to somebody. */
  readonly chargedPart: number;
}

/** The same, with what the accounts say meanwhile. */
export async function accountedShare(
  driver: Driver,
  control: ControlClient,
  request: Pick<ShareRequest, 'senders' | 'seconds' | 'warmUpSeconds'>,
): Promise<Accounted> {
  const { senders, seconds, warmUpSeconds } = request;
  const running = shareFor(driver, senders, seconds, warmUpSeconds);
  const read = async () => {
    await sleep((warmUpSeconds + marginSeconds) * 1000);
    const before = await control.stats();
    await sleep((seconds - 2 * marginSeconds) * 1000);
    return [before, await control.stats()] as const;
  };
  const [answer, [before, after]] = await Promise.all([running, read()]);
  const worked = (stats: typeof before, at: number) =>
    stats.vfs.find(({ name }) => name === `vm${at}`)!.account.workNanoseconds;
  const elapsed = (after.uptimeSeconds - before.uptimeSeconds) * 1e9;
  const all = (stats: typeof before) =>
    stats.vfs.reduce((sum, { account }) => sum + account.workNanoseconds, 0);
  const charged = all(after) - all(before);
  return {
    ...{ answer, chargedPart: charged / elapsed },
    work: senders.map((at) => worked(after, at) - worked(before, at)),
  };
}
