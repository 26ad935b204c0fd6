import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, expect, type TestContext, test } from 'vitest';
import { untilBalanced } from '../support/assert-balanced.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { canRunGuests, Laboratory, skipWithoutGuests } from './laboratory.ts';
import { STREAM_MIB } from './traffic.ts';

const HOST = '10.0.0.254';
const ROUNDS = 4;

let lab: Laboratory;
let iperf: ChildProcess;

// A network whose cards segment and checksum themselves: complete frames of 1500 bytes arrive.
beforeAll(async () => {
  if (!canRunGuests || namespaceMissing !== undefined) return;
  enterNamespace();
  ip('link add near type veth peer name far');
  execFileSync('ethtool', ['-K', 'far', 'tso', 'off', 'gso', 'off', 'tx', 'off']);
  execFileSync('ethtool', ['-K', 'near', 'gro', 'off']);
  for (const name of ['near', 'far']) ip(`link set ${name} up`);
  ip(`address add ${HOST}/24 dev far`);
  lab = await Laboratory.open({ guests: 1 });
  await lab.nic.addUplink({ name: 'lan', type: 'packet', interface: 'near' });
  iperf = spawn('iperf3', ['-s'], { stdio: 'ignore' });
}, 120_000);

afterAll(async () => {
  iperf?.kill();
  await lab?.close();
});

beforeEach((context: TestContext) => {
  skipWithoutGuests(context);
  if (namespaceMissing !== undefined) context.skip(namespaceMissing);
});

interface Round {
  mbps: number;
  joined: number;
  packets: number;
}

async function round(gro: boolean): Promise<Round> {
  await lab.nic.setVf('vm1', { gro });
  const before = lab.nic.stats().vfs[0]?.rx;
  const output = await lab.guest('vm1').run(`iperf3 -c ${HOST} -n ${STREAM_MIB}M -J -R`, 90);
  const after = lab.nic.stats().vfs[0]?.rx;
  const { end } = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } };
  return {
    mbps: Math.round(end.sum_received.bits_per_second / 1e6),
    joined: (after?.groMerged ?? 0) - (before?.groMerged ?? 0),
    packets: (after?.packets ?? 0) - (before?.packets ?? 0),
  };
}

test('TCP in frames of 1500 bytes reaches a guest in larger frames', async () => {
  await lab.guest('vm1').run(`until ping -c 1 -W 1 ${HOST} >/dev/null; do :; done`, 30);
  const rounds: Record<'with' | 'without', Round[]> = { with: [], without: [] };
  for (let i = 0; i < ROUNDS; i++) {
    rounds.without.push(await round(false));
    rounds.with.push(await round(true));
  }
  const line = (which: 'with' | 'without') =>
    rounds[which].map(({ mbps, joined, packets }) => `${mbps} (${joined}+${packets})`).join(', ');
  console.log(`Mbit/s without: ${line('without')}\nMbit/s with:    ${line('with')}`);
  for (const { joined } of rounds.without) expect(joined).toBe(0);
  for (const { joined, packets } of rounds.with) expect(joined).toBeGreaterThan(packets);
  await untilBalanced(lab.nic);
}, 120_000);
