// Floods: what each of many VFs gets when all of them send as much as they can.

import type { ControlClient } from '../../src/api/client.ts';
import type { Driver, DriverOptions } from '../driver/client.ts';
import type { PortWork, ShareAnswer } from '../driver/protocol.ts';
import { jainIndex, weightError } from '../fairness.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import {
  accountedShare,
  isSharing,
  metrics,
  type Row,
  recordRow,
  shareFor,
} from './sharing-record.ts';
import { interleave, type SuiteContext, withPorts } from './suite.ts';

export const guaranteeWorkload = 'txShare 1 Gbit beside 15 floods';
export const liftedWorkload = '16 VFs, limits that leave something';

/**
 * The kernel has to find each page once for the processor, which takes as long as a hundred frames:
 * with 16 rings of 1024 frames and a fifteenth of the time, more than a second.
 */
const warmUpSeconds = 2;
/** Large ones last while the driver is away for a moment, but not in the caches for many ports. */
const ringSizeOf = (ports: number) => (ports > 16 ? 256 : 1024);
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

const weights = [1, 2, 4, 8];
const wireBitsPerSecond = 1e9;
const wire = 'wire';
const weighted: readonly { name: string; works: readonly PortWork[] }[] = [
  { name: '1500 B', works: weights.map(() => ({ frameBytes: [1500] })) },
  // The larger the weight, the smaller the frames.
  { name: '1500 to 64 B', works: [1500, 576, 256, 64].map((size) => ({ frameBytes: [size] })) },
  {
    name: '8 to 1 queue pairs, 576 B',
    works: [8, 4, 2, 1].map((queuePairs) => ({ queuePairs, frameBytes: [576] })),
  },
];

const equalSizes = [[64], [1500], [576], [64, 576, 1500]];
const equalPairs = [1, 2, 4];

const guaranteed = 1e9;
const floodWeight = 100;
const floodCount = 15;
const equalCount = 16;

export async function runFloods(context: SuiteContext): Promise<void> {
  const { rounds, equalCounts } = context.profile.sharing;
  const heddles = { ...context, peers: context.peers.filter(isSharing) };
  for (const { name } of context.peers.filter((peer) => !isSharing(peer))) {
    context.omit(
      `sharing, weights and guarantees, ${name}`,
      'it has none, and no accounts of time',
    );
  }
  for (const { name, works } of weighted) {
    await interleave(heddles, rounds, `sharing, weights, ${name}`, (peer, round) =>
      visitWeights(context, peer, round, { name, works }),
    );
  }
  for (const count of equalCounts) {
    await interleave(heddles, rounds, `sharing, ${count} equal VFs`, (peer, round) =>
      visitEqual(context, peer, round, count),
    );
  }
  const able = withPorts(context, 'sharing, 16 equal VFs', equalCount);
  await interleave(able, rounds, 'sharing, 16 equal VFs', (peer, round) =>
    visitBytes(context, peer, round),
  );
  for (const frameBytes of [64, 1500]) {
    await interleave(heddles, rounds, `sharing, txShare, ${frameBytes} B`, (peer, round) =>
      visitGuarantee(context, peer, round, frameBytes),
    );
  }
  await interleave(heddles, rounds, 'sharing, limits lifted', (peer, round) =>
    visitLifted(context, peer, round),
  );
}

/** Ports that flood, with the rest of the arguments of a row. */
function withFloods(
  peer: Peer,
  works: readonly PortWork[],
  work: (driver: Driver, control: ControlClient | undefined) => Promise<void>,
): Promise<void> {
  const ringSize = ringSizeOf(works.length);
  const options: DriverOptions = { ringSize, hasHugePages: false, works };
  const queuePairs = Math.max(...works.map((one) => one.queuePairs ?? 1));
  return withDriver(
    ...([peer, works.length, options] as const),
    (driver) => work(driver, peer.control?.()),
    { greets: true, begin: (sockets) => peer.start(sockets, { queuePairs }) },
  );
}

/** Four VFs flood a fifth. */
function visitWeights(
  context: SuiteContext,
  peer: Peer,
  round: number,
  { name, works }: (typeof weighted)[number],
): Promise<void> {
  const to = weights.length;
  return withFloods(
    peer,
    [...works.map((one) => ({ ...one, to })), {}],
    async (driver, control) => {
      const seconds = context.profile.windowSeconds;
      const request = { senders: upTo(to), seconds, warmUpSeconds };
      for (const [at, txWeight] of weights.entries()) await control!.setVf(`vm${at}`, { txWeight });
      const byTime = await accountedShare(driver, control!, request);
      recordWeights(
        { context, peer, round, workload: `weights, ${name}, by time` },
        byTime.work,
        byTime.answer,
        byTime.chargedPart,
      );
      await control!.addGroup({ name: wire, txMax: wireBitsPerSecond });
      for (const at of weights.keys()) await control!.setVf(`vm${at}`, { group: wire });
      const answer = await shareFor(driver, request.senders, seconds, warmUpSeconds);
      const bytes = answer.senders.map((one) => one.bytes);
      const used = bytes.reduce((sum, one) => sum + one, 0) / answer.seconds;
      const workload = `weights, ${name}, wire of 1 Gbit`;
      const part = (used * 8) / wireBitsPerSecond;
      recordWeights({ context, peer, round, workload }, bytes, answer, part, false);
    },
  );
}

function recordWeights(
  row: Row,
  values: readonly number[],
  answer: Awaited<ReturnType<typeof shareFor>>,
  utilisation: number,
  isSwitchBusy = true,
): void {
  recordRow(row, {
    values: {
      [metrics.rateError]: [weightError(values, weights) * 100, '%'],
      [metrics.jain]: [jainIndex(values.map((value, at) => value / weights[at]!)), ''],
      [metrics.utilisation]: [utilisation * 100, '%'],
    },
    ...{ cores: answer, isSwitchBusy, looks: answer.senders, seconds: answer.seconds },
    details: { parts: partsText(values) },
  });
}

/** In percent. */
function partsText(values: readonly number[]): string {
  const sum = values.reduce((total, one) => total + one, 0);
  return values.map((one) => ((100 * one) / sum).toFixed(2)).join(' ');
}

/** Sizes and queue pairs are mixed, and a third of them floods broadcasts. */
function visitEqual(
  context: SuiteContext,
  peer: Peer,
  round: number,
  count: number,
): Promise<void> {
  const works = upTo(count).map((at): PortWork => {
    const shape = {
      frameBytes: equalSizes[at % equalSizes.length]!,
      queuePairs: equalPairs[at % equalPairs.length]!,
    };
    return at % 3 === 2 ? { ...shape, to: 'all' } : shape;
  });
  return withFloods(peer, works, async (driver, control) => {
    const seconds = context.profile.windowSeconds;
    const request = { senders: upTo(count), seconds, warmUpSeconds };
    const { work, answer, chargedPart } = await accountedShare(driver, control!, request);
    const workload = `equal: ${count} VFs, mixed, by time`;
    recordRow(
      { context, peer, round, workload },
      {
        values: {
          [metrics.jain]: [jainIndex(work), ''],
          [metrics.utilisation]: [chargedPart * 100, '%'],
        },
        ...{ cores: answer, isSwitchBusy: true, looks: answer.senders, seconds: answer.seconds },
        details: { least: Math.min(...work), most: Math.max(...work) },
      },
    );
  });
}

/** What other switches can be compared with: all VFs do the same. */
function visitBytes(context: SuiteContext, peer: Peer, round: number): Promise<void> {
  const works = upTo(equalCount).map(() => ({ frameBytes: [64] }));
  return withFloods(peer, works, async (driver) => {
    const seconds = context.profile.windowSeconds;
    const answer = await shareFor(driver, upTo(equalCount), seconds, warmUpSeconds);
    const frames = answer.senders.reduce((sum, one) => sum + one.frames, 0);
    recordRow(
      { context, peer, round, workload: `equal: ${equalCount} VFs, 64 B, by bytes` },
      {
        values: {
          [metrics.jain]: [jainIndex(answer.senders.map(({ bytes }) => bytes)), ''],
          [metrics.rate]: [frames / answer.seconds / 1e6, 'Mpps'],
        },
        ...{ cores: answer, isSwitchBusy: true, looks: answer.senders, seconds: answer.seconds },
      },
    );
  });
}

/** The weights of the others leave next to nothing beside the guarantee. */
function visitGuarantee(
  context: SuiteContext,
  peer: Peer,
  round: number,
  frameBytes: number,
): Promise<void> {
  const flood = (at: number): PortWork => {
    if (at % 3 === 0) return { frameBytes: [64] };
    return at % 3 === 1 ? { frameBytes: [64], to: 'all' } : { frameBytes: [64], queuePairs: 16 };
  };
  const works = [{ frameBytes: [frameBytes] }, ...upTo(floodCount).map(flood)];
  return withFloods(peer, works, async (driver, control) => {
    for (const at of upTo(floodCount)) {
      await control!.setVf(`vm${at + 1}`, { txWeight: floodWeight });
    }
    await control!.setVf('vm0', { txShare: guaranteed });
    const seconds = context.profile.windowSeconds;
    const answer = await shareFor(driver, upTo(1 + floodCount), seconds, warmUpSeconds);
    const { bytes } = answer.senders[0]!;
    const part = (bytes * 8) / answer.seconds / guaranteed;
    recordRow(
      { context, peer, round, workload: `${guaranteeWorkload}, ${frameBytes} B` },
      {
        values: { [metrics.guarantee]: [part * 100, '%'] },
        ...{ cores: answer, isSwitchBusy: true, looks: answer.senders, seconds: answer.seconds },
      },
    );
  });
}

/**
 * Half of the VFs at a limit that leaves something: the others take what is left, as if they were
 * alone. Not against all of them without limits, which have other batches and other caches.
 */
function visitLifted(context: SuiteContext, peer: Peer, round: number): Promise<void> {
  const works = upTo(equalCount).map(() => ({ frameBytes: [64] }));
  const others = upTo(equalCount).filter((at) => at % 2 === 1);
  return withFloods(peer, works, async (driver, control) => {
    const seconds = context.profile.windowSeconds;
    const total = ({ senders, seconds: elapsed }: ShareAnswer) =>
      senders.reduce((sum, { bytes }) => sum + bytes, 0) / elapsed;
    const alone = () => shareFor(driver, others, seconds, warmUpSeconds);
    const before = await alone();
    for (const at of others) await control!.setVf(`vm${at - 1}`, { txMax: 1e7 });
    const limited = await shareFor(driver, upTo(equalCount), seconds, warmUpSeconds);
    for (const at of others) await control!.setVf(`vm${at - 1}`, { txMax: 0 });
    const after = await alone();
    const free = (total(before) + total(after)) / 2;
    recordRow(
      { context, peer, round, workload: liftedWorkload },
      {
        values: { [metrics.utilisation]: [(100 * total(limited)) / free, '%'] },
        ...{ cores: limited, isSwitchBusy: true },
        looks: [before, limited, after].flatMap(({ senders }) => senders),
        seconds: limited.seconds,
        details: { freeMbps: (free * 8) / 1e6, limitedMbps: (total(limited) * 8) / 1e6 },
      },
    );
  });
}
