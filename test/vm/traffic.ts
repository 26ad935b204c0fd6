// What guests do to each other in tests.

import type { Guest } from '../../src/demo/guest/guest.ts';
import { addressOf } from './laboratory.ts';

/** Waits until the peer answers: right after a start the first tries may find no link. */
export async function reach(from: Guest, to: string): Promise<void> {
  await from.run(`until ping -c 1 -W 1 ${addressOf(to)}; do :; done`, 30);
}

export interface PingResult {
  readonly sent: number;
  readonly answered: number;
}

export async function ping(from: Guest, to: string, count: number): Promise<PingResult> {
  const { output } = await from.attempt(
    `ping -c ${count} -i 0.1 -W 2 ${addressOf(to)}`,
    count + 10,
  );
  const match = output.match(/(\d+) packets transmitted, (\d+) packets received/);
  if (match === null) throw new Error(`Cannot read what ping printed:\n${output}`);
  return { sent: Number(match[1]), answered: Number(match[2]) };
}

export interface StreamOptions {
  readonly seconds: number;
  readonly isReverse?: boolean;
  /** How many TCP connections at a time. */
  readonly connections?: number;
}

/** TCP between two guests; returns the Mbit/s that arrived. Starts the peer's server if need be. */
export async function stream(from: Guest, to: Guest, options: StreamOptions): Promise<number> {
  await to.run('pidof iperf3 || iperf3 --server --daemon');
  const { seconds, isReverse = false, connections = 1 } = options;
  const output = await from.run(
    `iperf3 --client ${addressOf(to.name)} --time ${seconds} --parallel ${connections} \
      --interval 0 --json ${isReverse ? '--reverse' : ''}`,
    seconds + 30,
  );
  const report = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second / 1e6;
}

export interface TransferResult {
  readonly sentHash: string;
  readonly receivedHash: string;
  readonly receivedBytes: number;
}

const blockMiB = 8;

/**
 * Sends random bytes through TCP and hashes them on both ends. The same block goes again and again,
 * so that neither guest needs the memory; a line with a number before each makes the stream's hash
 * change when a block is lost, repeated or moved, and keeps the blocks from falling on the same
 * boundaries of frames.
 */
export async function transfer(from: Guest, to: Guest, mebibytes: number): Promise<TransferResult> {
  const seconds = 120;
  await to.run(receiverScript);
  await from.run(senderScript(addressOf(to.name), mebibytes / blockMiB), seconds);
  const sent = await from.run('cat /tmp/sent');
  const received = await to.run('until [ -e /tmp/done ]; do usleep 50000; done; cat /tmp/received');
  const bytes = await to.run('cat /tmp/bytes');
  return {
    sentHash: firstWord(sent),
    receivedHash: firstWord(received),
    receivedBytes: Number(bytes),
  };
}

// nc's own input must stay open, or nc would end the connection's other half at once.
const receiverScript = `
rm -f /tmp/done /tmp/idle /tmp/copy; mkfifo /tmp/idle /tmp/copy
{ wc -c </tmp/copy >/tmp/bytes & exec 4<>/tmp/idle
  nc -l -p 5001 <&4 | tee /tmp/copy | sha256sum >/tmp/received
  wait; touch /tmp/done; } >/dev/null 2>&1 &
until netstat -ltn | grep -q :5001; do usleep 20000; done`;

function senderScript(address: string, blocks: number): string {
  return `
rm -f /tmp/copy; mkfifo /tmp/copy
head -c ${blockMiB << 20} /dev/urandom >/tmp/block
sha256sum </tmp/copy >/tmp/sent &
for number in $(seq ${blocks}); do echo block $number; cat /tmp/block; done |
  tee /tmp/copy | nc ${address} 5001
wait`;
}

function firstWord(text: string): string {
  return text.split(' ')[0] ?? '';
}
