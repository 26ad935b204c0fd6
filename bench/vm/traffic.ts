// What the two guests do: TCP streams, requests and responses, and pings.

import type { Machine } from './machine.ts';

const graceSeconds = 30;
const port = 5301;

// A new server for each stream: one whose client has vanished waits for it.
const serverScript = `
killall -q iperf3
iperf3 --server --daemon
until netstat -ltn | grep -q :5201; do usleep 20000; done`;

export async function reach(from: Machine, address: string): Promise<void> {
  await from.run(`until ping -c 1 -W 1 ${address}; do :; done`, graceSeconds);
}

/** Mbit/s that arrived over one TCP connection; `isReverse`: from the server to the client. */
export async function streamMbps(
  client: Machine,
  server: Machine,
  serverAddress: string,
  seconds: number,
  isReverse: boolean,
): Promise<number> {
  await server.run(serverScript);
  return await streamTo(client, serverAddress, seconds, isReverse);
}

/** The same with a server that already runs, in a guest or elsewhere. */
export async function streamTo(
  client: Machine,
  serverAddress: string,
  seconds: number,
  isReverse: boolean,
): Promise<number> {
  const words = ['iperf3 --json --interval 0', `--client ${serverAddress} --time ${seconds}`];
  if (isReverse) words.push('--reverse');
  const output = await client.run(words.join(' '), seconds + graceSeconds);
  const report = JSON.parse(output) as {
    error?: string;
    end: { sum_received?: { bits_per_second: number } };
  };
  const rate = report.end.sum_received?.bits_per_second ?? 0;
  if (rate > 0) return rate / 1e6;
  throw new Error(`iperf3 found no result: ${report.error ?? output}`);
}

export interface RoundTrips {
  readonly min: number;
  readonly average: number;
}

/** Milliseconds, from ping. */
export async function pingTimes(
  from: Machine,
  address: string,
  count: number,
): Promise<RoundTrips> {
  const output = await from.run(`ping -q -c ${count} -i 0.01 -W 2 ${address}`, count + 10);
  const found = /= ([\d.]+)\/([\d.]+)\/[\d.]+ ms/.exec(output);
  if (found === null) throw new Error(`Cannot parse the output of ping:\n${output}`);
  return { min: Number(found[1]), average: Number(found[2]) };
}

/** sockaddr_in without Perl's modules, which the guest does not have. */
const perlHead = `
sub at { pack('S n C4 x8', 2, ${port}, split(/\\./, $_[0])) }
sub now { my $t = pack('q2', 0, 0); syscall(228, 1, $t); my ($s, $n) = unpack('q2', $t);
  $s * 1e6 + $n / 1e3 }
socket(S, 2, 2, 17) or die "socket: $!";
`;

const echoScript = `${perlHead}
bind(S, at('0.0.0.0')) or die "bind: $!";
while (defined(my $from = recv(S, my $data, 64, 0))) { send(S, $data, 0, $from) }
`;

/** The other side may not listen yet, so the first request is repeated. */
const askScript = (address: string, count: number) => `${perlHead}
setsockopt(S, 1, 20, pack('q2', 1, 0)) or die "timeout: $!";
my $to = at('${address}');
my ($data, @trips);
for my $try (1 .. 10) {
  send(S, 'x', 0, $to);
  last if defined(recv(S, $data, 64, 0));
  die 'no answer' if $try == 10;
}
for my $trip (1 .. ${count} + 20) {
  my $start = now();
  send(S, 'x', 0, $to) or die "send: $!";
  defined(recv(S, $data, 64, 0)) or die "no answer to request $trip";
  push @trips, now() - $start if $trip > 20;
}
@trips = sort { $a <=> $b } @trips;
print join(' ', map { $trips[int($_ * (@trips - 1))] } 0.5, 0.99), "\\n";
`;

export interface RequestTimes {
  readonly p50: number;
  readonly p99: number;
}

/** Microseconds from a request of one byte to its response, over UDP. */
export async function requestTimes(
  client: Machine,
  server: Machine,
  serverAddress: string,
  count: number,
): Promise<RequestTimes> {
  await server.run(inFile('echo', echoScript, 'perl /tmp/echo </dev/null >/dev/null 2>&1 &'));
  const ask = inFile('ask', askScript(serverAddress, count), 'perl /tmp/ask');
  const [p50, p99] = (await client.run(ask)).trim().split(' ').map(Number);
  await server.run('killall perl');
  if (p50 === undefined || p99 === undefined || !(p50 > 0)) throw new Error('no request times');
  return { p50, p99 };
}

function inFile(name: string, content: string, then: string): string {
  return `cat >/tmp/${name} <<'END'\n${content}\nEND\n${then}`;
}
