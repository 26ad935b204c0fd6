// The cost of copying without a switch: the yardstick for super-frames.

import { microseconds } from './clock.ts';
import type { CopyAnswer, CopyRequest } from './protocol.ts';

const cacheLine = 64;

/** Cycles through two sets of buffers, as the rings of a switch cycle through theirs. */
export function copy(request: CopyRequest): CopyAnswer {
  const { bufferBytes, buffers, warmUpSeconds, seconds } = request;
  const [from, to] = [lay(bufferBytes, buffers), lay(bufferBytes, buffers)];
  const run = (length: number): number => {
    const end = microseconds() + length * 1e6;
    let count = 0;
    while (microseconds() < end) {
      for (let at = 0; at < buffers; at += 1) to[at]!.set(from[at]!);
      count += buffers;
    }
    return count;
  };
  run(warmUpSeconds);
  const before = process.cpuUsage();
  const started = microseconds();
  const count = run(seconds);
  const elapsed = microseconds() - started;
  const { user, system } = process.cpuUsage(before);
  return { buffersPerSecond: (count * 1e6) / elapsed, generatorCores: (user + system) / elapsed };
}

function lay(bufferBytes: number, count: number): Uint8Array[] {
  const stride = Math.ceil(bufferBytes / cacheLine) * cacheLine;
  // Written once: memory that was never written would be a single page of zeros.
  const all = new Uint8Array(stride * count).fill(1);
  return Array.from({ length: count }, (_, at) =>
    all.subarray(at * stride, at * stride + bufferBytes),
  );
}
