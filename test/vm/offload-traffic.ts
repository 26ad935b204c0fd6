// Traffic between guests that shows whether offloads work: TCP and UDP over both IP versions, and
// streams that are hashed at both ends.

import type { Guest } from '../../src/demo/guest/guest.ts';
import { addressOf } from './laboratory.ts';
import { STREAM_MIB } from './traffic.ts';

export type IpVersion = 4 | 6;

const iperfSeconds = 90;
const streamSeconds = 100;

/** vm7 is fd00::7. */
export function addressSix(name: string): string {
  return `fd00::${name.slice(2)}`;
}

export async function giveAddressSix(guest: Guest): Promise<void> {
  // Skips duplicate address detection, which takes time.
  await guest.run(`
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
ip address add ${addressSix(guest.name)}/64 dev eth0`);
}

/** The output of `ethtool -k`: feature → "on", "off [fixed]" … */
export async function offloadsOf(guest: Guest): Promise<Record<string, string>> {
  const output = await guest.run('ethtool -k eth0');
  const lines = output.split('\n').map((line) => line.trim().match(/^([\w-]+): (.+)$/));
  return Object.fromEntries(lines.flatMap((match) => (match ? [[match[1], match[2]]] : [])));
}

/** The feature bits that the guest's driver has negotiated with QEMU. */
export async function featureBits(guest: Guest): Promise<number[]> {
  const bits = await guest.run('cat /sys/bus/virtio/devices/virtio0/features');
  return [...bits.trim()].flatMap((bit, index) => (bit === '1' ? [index] : []));
}

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum?: { readonly packets: number; readonly lost_packets: number };
  };
}

// A receiver that is not scheduled for a while loses nothing: its socket has room for all.
const serverScript = `
echo ${8 << 20} | tee /proc/sys/net/core/rmem_max >/proc/sys/net/core/rmem_default
killall -q iperf3
iperf3 --server --daemon
until netstat -ltn | grep -q :5201; do usleep 20000; done`;

async function iperf(from: Guest, to: Guest, version: IpVersion, words: string) {
  await to.run(serverScript);
  const address = version === 4 ? addressOf(to.name) : addressSix(to.name);
  const command = `iperf3 --json --interval 0 --client ${address} ${words}`;
  const output = await from.run(command, iperfSeconds);
  // Warnings precede the JSON.
  const report = JSON.parse(output.slice(output.indexOf('{'))) as IperfReport;
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  return report.end;
}

/** Streams TCP. Returns the Mbit/s that arrived. */
export async function tcpMbps(from: Guest, to: Guest, version: IpVersion): Promise<number> {
  const { sum_received: sum } = await iperf(from, to, version, `--bytes ${STREAM_MIB}M`);
  return (sum?.bits_per_second ?? 0) / 1e6;
}

/** Sends UDP: few enough datagrams for a receive ring of 256, so that only a bug loses any. */
export async function datagrams(
  from: Guest,
  to: Guest,
  version: IpVersion,
  length: number,
): Promise<{ sent: number; lost: number }> {
  const words = `--udp --bitrate 4M --length ${length} --bytes 256K`;
  const { sum } = await iperf(from, to, version, words);
  if (sum === undefined) throw new Error('iperf3 tells no sum');
  return { sent: sum.packets, lost: sum.lost_packets };
}

export interface EqualStreamOptions {
  readonly mebibytes: number;
  /** Features of `ethtool -K` that both ends toggle until the stream ends. */
  readonly toggled?: readonly string[];
}

const blockMiB = 8;

/**
 * Streams a file through TCP and compares the hashes of both ends. The file repeats one block of
 * random bytes, each copy after a line with its number. Returns how often the sender has toggled.
 */
export async function equalStream(
  from: Guest,
  to: Guest,
  options: EqualStreamOptions,
): Promise<number> {
  await from.run(`
mkdir -p /tmp/www
head -c ${blockMiB << 20} /dev/urandom >/tmp/block
for number in $(seq ${options.mebibytes / blockMiB}); do
  echo block $number; cat /tmp/block
done >/tmp/www/file
rm /tmp/block /tmp/toggles 2>/dev/null
pidof httpd >/dev/null || httpd -p 80 -h /tmp/www`);
  const sent = await from.run('sha256sum </tmp/www/file', streamSeconds);
  await from.run(toggling(options.toggled));
  const received = await to.run(
    `${toggling(options.toggled)}
wget -q -O - http://${addressOf(from.name)}/file | sha256sum
touch /tmp/over`,
    streamSeconds,
  );
  await from.run('touch /tmp/over; rm /tmp/www/file');
  if (received !== sent) throw new Error(`sent ${sent}, received ${received}`);
  if (options.toggled === undefined) return 0;
  return Number(await from.run('sleep 1; cat /tmp/toggles'));
}

/** A background loop that turns everything off and on until the stream ends. */
function toggling(names: readonly string[] | undefined): string {
  if (names === undefined) return '';
  const set = (value: string) => names.map((name) => `ethtool -K eth0 ${name} ${value}`).join('; ');
  return `
rm -f /tmp/over
(count=0
until [ -e /tmp/over ]; do
  { ${set('off')}; usleep 200000; ${set('on')}; usleep 200000; } >/dev/null 2>&1
  count=$((count + 1)); echo $count >/tmp/toggles
done) &`;
}
