// What offloads gain between guests: super-frames against a plain copy, packed against split rings.
//
// Other promises about offloads need real guests: see the suite `vm`.

import { isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import { superFrameBytes } from '../driver/super-frame.ts';
import type { RingOptions } from '../generator.ts';
import { heddleName } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import { measureLoop, warmUpSeconds } from './forward.ts';
import { withDriver, withGenerator } from './session.ts';
import type { SuiteContext } from './suite.ts';

/** The name of the copy without a switch. */
export const plainCopyName = 'plain copy';

const suite = 'offload';
const framesInFlight = 32;
/** Of both guests: the copy cycles through as many. */
const transmitBuffers = 128;

/** The receiver's buffers: Linux offers pages if buffers are mergeable. */
export const superFrameWorkloads = [
  { workload: '64 KiB, buffers of 64 KiB', receiveBufferBytes: 65_600 },
  { workload: '64 KiB, buffers of 4 KiB', receiveBufferBytes: 4096 },
] as const;

export const packedWorkload = '64 B, packed rings';
export const splitWorkload = '64 B, split rings';
const smallFrameBytes = 64;
const rings: readonly (readonly [workload: string, rings: RingOptions])[] = [
  [splitWorkload, {}],
  [packedWorkload, { isPacked: true }],
];

export async function runOffload(context: SuiteContext): Promise<void> {
  const peer = context.peers.find(({ name }) => name === heddleName);
  if (peer === undefined) {
    context.omit(suite, 'it measures only Heddle, which is not selected');
    return;
  }
  for (const { workload, receiveBufferBytes } of superFrameWorkloads) {
    const superFrames = { receiveBufferBytes };
    const options = { hasHugePages: false, superFrames };
    await context.attempt(`${suite}, ${workload}`, () =>
      withDriver(peer, 2, options, (driver) => measureCopies(context, peer, driver, workload)),
    );
  }
  const { rounds, hasRings } = context.profile.offload;
  if (!hasRings)
    context.omit(`${suite}, packed rings`, `not in the profile ${context.profile.name}`);
  for (let round = 0; hasRings && round < rounds; round += 1) {
    for (const [workload, options] of rings) {
      await context.attempt(`${suite}, ${workload}, round ${round + 1}`, () =>
        measureRings(context, peer, round, workload, options),
      );
    }
  }
}

/** Switch and copy take turns: while one runs, the other is silent. */
async function measureCopies(
  context: SuiteContext,
  peer: Peer,
  driver: Driver,
  workload: string,
): Promise<void> {
  const { rounds, windowSeconds: seconds } = context.profile.offload;
  const window = { warmUpSeconds, seconds };
  const common = { suite, workload, x: null, metric: 'bandwidth', unit: 'GB/s' } as const;
  const gigabytes = (framesPerSecond: number) => (framesPerSecond * superFrameBytes) / 1e9;
  for (let round = 0; round < rounds; round += 1) {
    const loop = await driver.loop({ framesInFlight, ...window });
    const { switchCores, generatorCores, framesLost } = loop;
    context.record({
      ...{ ...common, peer: peer.name, round, value: gigabytes(loop.mpps * 1e6) },
      ...{ isDisturbed: isDisturbed(switchCores, generatorCores), switchCores, generatorCores },
      details: { framesLost },
    });
    const sizes = { bufferBytes: superFrameBytes, buffers: transmitBuffers };
    const plain = await driver.copy({ ...sizes, ...window });
    context.record({
      ...{ ...common, peer: plainCopyName, round, value: gigabytes(plain.buffersPerSecond) },
      ...{ isDisturbed: isDisturbed(plain.generatorCores), switchCores: null },
      generatorCores: plain.generatorCores,
    });
  }
}

async function measureRings(
  context: SuiteContext,
  peer: Peer,
  round: number,
  workload: string,
  options: RingOptions,
): Promise<void> {
  const { windowSeconds } = context.profile.offload;
  await withGenerator(peer, 2, options, async (generator) => {
    const measured = await measureLoop(peer, generator, smallFrameBytes, windowSeconds);
    context.record({ ...measured, suite, round, workload, x: null });
  });
}
