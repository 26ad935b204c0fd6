import { udpFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import type { TestNic } from './test-nic.ts';

export interface ExchangeOptions {
  count: number;
  lengthMin?: number;
  lengthMax?: number;
  seed?: number;
  /** Receive buffers that one frame may use. */
  buffersPerFrame?: number;
}

/** Numbered frames of one flow. The seed determines their lengths and contents. */
export function flowFrames(to: string, from: string, options: ExchangeOptions): Uint8Array[] {
  const { count, lengthMin = 60, lengthMax = 1514, seed = 1 } = options;
  const random = new Random(seed);
  return Array.from({ length: count }, (_, sequence) => {
    const length = random.between(lengthMin, lengthMax);
    return udpFrame({ to, from, flow: seed, sequence, seed, length });
  });
}

/**
 * Sends frames from one guest to another, never more in flight than the receiver has buffers for,
 * and checks that each arrives intact and in order.
 */
export async function exchange(
  lab: TestNic,
  [from, sender]: readonly [number, MockGuest],
  [to, receiver]: readonly [number, MockGuest],
  options: ExchangeOptions,
): Promise<void> {
  const frames = flowFrames(lab.mac(to), lab.mac(from), options);
  const { ring } = receiver.queues.pair(0).receive;
  for (let next = 0; next < frames.length; ) {
    const room = Math.floor(ring.outstanding / (options.buffersPerFrame ?? 1));
    const chunk = frames.slice(next, next + Math.max(1, room));
    const arrived = receiver.waitReceived(chunk.length);
    await sender.sendAll(chunk);
    checkSame(await arrived, chunk, next);
    next += chunk.length;
  }
  await sender.waitTransmitted();
}

export function checkSame(
  received: readonly Uint8Array[],
  expected: readonly Uint8Array[],
  first = 0,
): void {
  expected.forEach((frame, index) => {
    const other = received[index];
    if (other === undefined) throw new Error(`frame ${first + index} did not arrive`);
    if (Buffer.compare(frame, other) !== 0) {
      throw new Error(`frame ${first + index} differs: ${describe(other)} for ${describe(frame)}`);
    }
  });
}

function describe(frame: Uint8Array): string {
  return `${frame.length} bytes ${Buffer.from(frame.subarray(0, 54)).toString('hex')}`;
}
