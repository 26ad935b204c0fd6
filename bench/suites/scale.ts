// The cost of more VFs: the total rate, and each one's share of memory and time.

import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import { heddleName } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import { ownKiBOf } from '../proc.ts';
import { median } from '../statistics.ts';
import { warmUpSeconds } from './forward.ts';
import { withDriver } from './session.ts';
import { interleave, type SuiteContext, withPorts } from './suite.ts';

/** QEMU's size, and small enough for the buffers of 64 VFs to fit the same caches as those of 2. */
const ringSize = 256;
const framesInFlight = 128;
const driverOptions = { ringSize, hasHugePages: false };
/** VFs that exist before the first one is added. */
const initialCount = 2;

export async function runScale(context: SuiteContext): Promise<void> {
  const { vfCounts, rounds } = context.profile.scale;
  const able = vfCounts.map((count) => withPorts(context, `scale, ${count} VFs`, count));
  // The counts take turns within a round: 64 VFs are compared with 2 of the same round.
  await interleave(context, rounds, 'scale', async (peer, round) => {
    for (const [index, count] of vfCounts.entries()) {
      if (!able[index]!.peers.includes(peer)) continue;
      await withDriver(peer, count, driverOptions, (driver) =>
        measureRate(context, peer, round, count, driver),
      );
    }
  });
  const heddleOnly = { ...context, peers: context.peers.filter(({ name }) => name === heddleName) };
  await interleave(heddleOnly, rounds, 'scale, cost of a VF', (peer, round) =>
    measureCost(context, peer, round, Math.max(...vfCounts)),
  );
}

async function measureRate(
  context: SuiteContext,
  peer: Peer,
  round: number,
  count: number,
  driver: Driver,
): Promise<void> {
  const seconds = context.profile.windowSeconds;
  const loop = await driver.loop({ framesInFlight, warmUpSeconds, seconds });
  const { mpps, framesLost, switchCores, generatorCores } = loop;
  context.record({
    ...{ suite: 'scale', peer: peer.name, round, workload: `${count} VFs`, x: count },
    ...{ metric: 'total rate', unit: 'Mpps', value: mpps, switchCores, generatorCores },
    isDisturbed: isDisturbed(switchCores, generatorCores),
    details: { framesLost },
  });
}

async function measureCost(
  context: SuiteContext,
  peer: Peer,
  round: number,
  count: number,
): Promise<void> {
  const times: number[] = [];
  let before = 0;
  const ownKiB = () => peer.pids().reduce((sum, pid) => sum + ownKiBOf(pid), 0);
  const begin = async (sockets: readonly string[]) => {
    await peer.start(sockets.slice(0, initialCount));
    before = ownKiB();
    for (const socket of sockets.slice(initialCount)) {
      const started = performance.now();
      await peer.addPort?.(socket);
      times.push(performance.now() - started);
    }
  };
  const work = async () => {
    const added = ownKiB() - before;
    const common = {
      suite: 'scale',
      ...{ peer: peer.name, round, workload: `VF 3 to ${count}`, x: null },
      ...{ isDisturbed: false, switchCores: null, generatorCores: null },
    } as const;
    const kibibytes = added / (count - initialCount);
    context.record({ ...common, metric: 'time to add', unit: 'ms', value: median(times) });
    context.record({ ...common, metric: 'memory per VF', unit: 'KiB', value: kibibytes });
  };
  // All connected and introduced: a VF without a guest would cost less than a used one.
  await withDriver(peer, count, driverOptions, work, { begin });
}
