// TCP between two guests, measured by iperf3.

import type { Guest } from './guest.ts';

/** For how long, or how much. */
type StreamAmount = { readonly seconds: number } | { readonly mebibytes: number };

export type StreamOptions = StreamAmount & {
  /** Data flows from the server to the client. */
  readonly isReverse?: boolean;
  /** How many TCP connections at a time. */
  readonly connections?: number;
};

interface IperfReport {
  readonly error?: string;
  readonly end: { readonly sum_received?: { readonly bits_per_second: number } };
}

/** Time for a stream to end: slow guests have long queues to empty. */
const graceSeconds = 30;
/** A stream that is slower than this (8 Mbit/s) is given up. */
const mebibytesPerSecondMin = 1;

// A new server for each stream: one whose client has vanished waits for it.
const serverScript = `
killall -q iperf3
iperf3 --server --daemon
until netstat -ltn | grep -q :5201; do usleep 20000; done`;

/** Streams from client to server, or back; returns the Mbit/s that arrived. */
export async function streamMbps(
  client: Guest,
  server: Guest,
  serverAddress: string,
  options: StreamOptions,
): Promise<number> {
  await server.run(serverScript);
  const { isReverse = false, connections = 1 } = options;
  const { words: amount, secondsMax } = wordsOf(options);
  const words = ['iperf3 --json --interval 0', `--client ${serverAddress} ${amount}`];
  words.push(`--parallel ${connections}`);
  if (isReverse) words.push('--reverse');
  return receivedMbps(await client.run(words.join(' '), secondsMax + graceSeconds));
}

/** What iperf3 is told, and how long it may take for that. */
function wordsOf(amount: StreamAmount): { words: string; secondsMax: number } {
  if ('seconds' in amount) return { words: `--time ${amount.seconds}`, secondsMax: amount.seconds };
  const { mebibytes } = amount;
  return { words: `--bytes ${mebibytes}M`, secondsMax: mebibytes / mebibytesPerSecondMin };
}

function receivedMbps(output: string): number {
  const report = JSON.parse(output) as IperfReport;
  const received = report.end.sum_received;
  if (received !== undefined) return received.bits_per_second / 1e6;
  throw new Error(`iperf3 found no result: ${report.error ?? output}`);
}
