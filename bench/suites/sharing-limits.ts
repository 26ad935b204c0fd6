// txMax and rxMax: one VF sends as fast as it can to another, whose frames are counted.

import type { Driver, DriverOptions } from '../driver/client.ts';
import type { ShareAnswer } from '../driver/protocol.ts';
import { superFrameWireBytes } from '../driver/super-frame.ts';
import { partWithin, relativeError } from '../fairness.ts';
import type { Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import { isSharing, metrics, type Row, recordRow, shareFor } from './sharing-record.ts';
import { interleave, type SuiteContext } from './suite.ts';

interface Size {
  readonly name: string;
  readonly wireBytes: number;
  readonly options: DriverOptions;
}

interface Limit {
  readonly word: 'txMax' | 'rxMax';
  readonly name: string;
  readonly bitsPerSecond: number;
}

const frames = (frameBytes: number): Size => {
  const options = { frameBytes: [frameBytes], ringSize: 256 };
  return { name: `${frameBytes} B`, wireBytes: frameBytes, options };
};
const sizes: readonly Size[] = [frames(64), frames(1500)];
const superFrames: Size = {
  name: '64 KiB TSO',
  wireBytes: superFrameWireBytes,
  options: { hasHugePages: false, superFrames: { receiveBufferBytes: 65_600 } },
};

const rates = [
  ['10 Mbit', 1e7],
  ['100 Mbit', 1e8],
  ['1 Gbit', 1e9],
] as const;
const unlimitedPart = 0.8;
const receivedRates = rates.slice(1);
/** Fewer would be wrong by more than half a percent because of a single one. */
const framesMin = 200;
/** A change has taken effect, and what the burst allowed is over. */
const settleSeconds = 0.3;
const settleFrames = 5;
const tolerance = 0.05;

export async function runLimits(context: SuiteContext): Promise<void> {
  const { rounds, hasSuperFrames } = context.profile.sharing;
  const able = { ...context, peers: context.peers.filter((peer) => canLimit(context, peer)) };
  for (const size of sizes) {
    await interleave(able, rounds, `sharing, limits, ${size.name}`, (peer, round) =>
      visit(context, peer, round, size),
    );
  }
  if (!hasSuperFrames) {
    context.omit('sharing, limits of super-frames', `not in the profile ${context.profile.name}`);
    return;
  }
  const heddles = able.peers.filter(isSharing);
  await interleave({ ...able, peers: heddles }, rounds, 'sharing, limits, TSO', (peer, round) =>
    visit(context, peer, round, superFrames),
  );
}

function canLimit(context: SuiteContext, peer: Peer): boolean {
  const { name, police } = peer;
  if (isSharing(peer)) return true;
  if (police === undefined) {
    context.omit(`sharing, limits, ${name}`, 'it has no limits');
    return false;
  }
  const reason = 'its policer sees super-frames whole and is given the size of one frame';
  context.omit(`sharing, limits of super-frames, ${name}`, reason);
  return true;
}

function visit(context: SuiteContext, peer: Peer, round: number, size: Size): Promise<void> {
  return withDriver(peer, 2, size.options, async (driver) => {
    const { windowSeconds } = context.profile;
    const free = await shareFor(driver, [0], windowSeconds, settleSeconds);
    const reached = rateOf(free, size);
    const unlimited = [`${unlimitedPart} × unlimited`, unlimitedPart * reached] as const;
    const of = (word: Limit['word']) => (rate: readonly [string, number]) => {
      return { word, name: rate[0], bitsPerSecond: rate[1] };
    };
    const limits: Limit[] = [...rates, unlimited].map(of('txMax'));
    // What a policer limits is what a port receives, whatever it is called.
    if (peer.control !== undefined) limits.push(...receivedRates.map(of('rxMax')));
    for (const limit of limits) {
      const workload = `${limit.word} ${limit.name}, ${size.name}`;
      await measure({ context, peer, round, workload }, driver, size, limit);
    }
  });
}

function rateOf({ received, seconds }: ShareAnswer, { wireBytes }: Size): number {
  return (received[1]! * wireBytes * 8) / seconds;
}

async function measure(row: Row, driver: Driver, size: Size, limit: Limit): Promise<void> {
  const { bitsPerSecond, word } = limit;
  const frameSeconds = (size.wireBytes * 8) / bitsPerSecond;
  const seconds = Math.max(row.context.profile.windowSeconds, framesMin * frameSeconds);
  const warmUp = Math.max(settleSeconds, settleFrames * frameSeconds);
  await setLimit(row.peer, size, limit);
  const answer = await shareFor(driver, [0], seconds, warmUp);
  await setLimit(row.peer, size, { ...limit, bitsPerSecond: 0 });
  const error = relativeError(rateOf(answer, size), bitsPerSecond);
  const [sender] = answer.senders;
  const within = partWithin(
    {
      ...{ bytes: sender!.samples, seconds: answer.sampleSeconds },
      ...{ bytesPerSecond: bitsPerSecond / 8, largestBytes: size.wireBytes },
    },
    tolerance,
  );
  // A policer takes everything; frames that rxMax drops have been taken, too.
  const isShaped = row.peer.control !== undefined && word === 'txMax';
  recordRow(row, {
    values: {
      [metrics.rateError]: [Math.abs(error) * 100, '%'],
      [metrics.utilisation]: [(1 + error) * 100, '%'],
      ...(isShaped ? { [metrics.windows]: [within * 100, '%'] as const } : {}),
    },
    ...{ cores: answer, isSwitchBusy: false, looks: answer.senders, seconds: answer.seconds },
    details: { error, bitsPerSecond, seconds: answer.seconds, taken: sender!.frames },
  });
}

async function setLimit(peer: Peer, size: Size, { word, bitsPerSecond }: Limit): Promise<void> {
  const control = peer.control?.();
  if (control !== undefined) {
    await control.setVf(word === 'txMax' ? 'vm0' : 'vm1', { [word]: bitsPerSecond });
  } else if (bitsPerSecond > 0) {
    await peer.police?.(1, bitsPerSecond, size.wireBytes);
  }
}
