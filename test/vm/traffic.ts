// Traffic between guests.

import type { Guest } from '../../src/demo/guest/guest.ts';
import { streamMbps } from '../../src/demo/guest/tcp-stream.ts';
import { addressOf } from './laboratory.ts';

const transferSeconds = 90;

/** Amount of a stream: some hundreds of super-frames wrap a ring a few times and give a rate. */
export const STREAM_MIB = 64;

/** Waits until the peer answers: right after a start, the link may not be up yet. */
export async function reach(from: Guest, to: string): Promise<void> {
  await from.run(`until ping -c 1 -W 1 ${addressOf(to)} >/dev/null; do :; done`, 30);
}

export interface PingResult {
  readonly sent: number;
  readonly answered: number;
}

export async function ping(
  from: Guest,
  to: string,
  count: number,
  { intervalSeconds = 0.02 } = {},
): Promise<PingResult> {
  const { output } = await from.attempt(
    `ping -c ${count} -i ${intervalSeconds} -W 2 ${addressOf(to)}`,
    count + 10,
  );
  const match = output.match(/(\d+) packets transmitted, (\d+) packets received/);
  if (match === null) throw new Error(`Cannot read what ping printed:\n${output}`);
  return { sent: Number(match[1]), answered: Number(match[2]) };
}

interface Streaming {
  /** Instead of `STREAM_MIB`. */
  seconds?: number;
  isReverse?: boolean;
  connections?: number;
}

/** TCP between two guests; returns the Mbit/s that arrived. */
export function stream(from: Guest, to: Guest, options: Streaming = {}): Promise<number> {
  return streamMbps(from, to, addressOf(to.name), { mebibytes: STREAM_MIB, ...options });
}

export interface TransferResult {
  readonly sentHash: string;
  readonly receivedHash: string;
  readonly receivedBytes: number;
}

const blockMiB = 8;

/**
 * Sends random bytes through TCP and hashes them at both ends. The same block is repeated, because
 * random bytes are expensive in a guest. A line with a number precedes each copy, so that a lost,
 * repeated or moved block changes the hash and no two copies have the same frame boundaries.
 */
export async function transfer(from: Guest, to: Guest, mebibytes: number): Promise<TransferResult> {
  await from.run(fileScript(mebibytes / blockMiB));
  const sent = await from.run('sha256sum /tmp/www/file', transferSeconds);
  // A web server and its client, because among busybox's programs they copy in large pieces.
  await from.run('pidof httpd || httpd -p 80 -h /tmp/www');
  await to.run(`wget -q -O /tmp/copy http://${addressOf(from.name)}/file`, transferSeconds);
  const received = await to.run('sha256sum /tmp/copy', transferSeconds);
  const bytes = await to.run('stat -c %s /tmp/copy');
  await Promise.all([from.run('rm /tmp/www/file'), to.run('rm /tmp/copy')]);
  return {
    sentHash: firstWord(sent),
    receivedHash: firstWord(received),
    receivedBytes: Number(bytes),
  };
}

function fileScript(blocks: number): string {
  return `
mkdir -p /tmp/www
head -c ${blockMiB << 20} /dev/urandom >/tmp/block
for number in $(seq ${blocks}); do echo block $number; cat /tmp/block; done >/tmp/www/file
rm /tmp/block`;
}

function firstWord(text: string): string {
  return text.split(' ')[0] ?? '';
}
