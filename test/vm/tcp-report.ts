// iperf3 of a guest, for tests that watch the NIC while the stream runs.

import type { Guest } from '../../src/demo/guest/guest.ts';
import { addressOf } from './laboratory.ts';

interface TcpReport {
  readonly receivedBitsPerSecond: number;
}

/** A new server for each stream: one whose client has vanished waits for it. */
export async function startServer(guest: Guest): Promise<void> {
  await guest.run(`
killall -q iperf3
iperf3 --server --daemon
until netstat -ltn | grep -q :5201; do usleep 20000; done`);
}

/** `connections`: several keep the ring filled although each waits for its interrupt. */
export function streamWords(to: string, seconds: number, connections = 4): string {
  const amount = `--time ${seconds} --parallel ${connections}`;
  return `iperf3 --json --interval 0 --client ${addressOf(to)} ${amount}`;
}

export function report(output: string): TcpReport {
  const { end, error } = JSON.parse(output) as {
    error?: string;
    end: { sum_received?: { bits_per_second: number } };
  };
  const { sum_received: received } = end;
  if (received === undefined) throw new Error(`iperf3 found no result: ${error ?? output}`);
  return { receivedBitsPerSecond: received.bits_per_second };
}
