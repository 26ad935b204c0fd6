// The course of the demo: a NIC, two guests, ping, TCP one way, TCP the other way.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNic, type Nic } from '../index.ts';
import { startBuiltInGuests } from './built-in-guests.ts';
import type { Cleanups } from './cleanups.ts';
import { missingForGuests } from './guest/requirements.ts';
import type { Attachment, Direction, GuestPair } from './guest-pair.ts';
import { startLinuxGuests } from './linux-guests.ts';
import { LiveTable } from './live-table.ts';
import type { DemoOptions } from './options.ts';
import { type DemoReport, makeReport, median, roundMs, trafficName } from './report.ts';
import { reachWorld } from './world.ts';

const pingCount = 20;

export async function runDemo(options: DemoOptions, cleanups: Cleanups): Promise<DemoReport> {
  const directory = await mkdtemp(join(tmpdir(), 'heddle-demo-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  const nic = await createNic({
    name: 'nic0',
    vfs: ['vm1', 'vm2'].map((name) => ({ name, socket: join(directory, `${name}.sock`) })),
  });
  cleanups.push(() => nic.close());
  say(`The NIC is up: ${nic.vfs().length} VFs listen on sockets in ${directory}.`);
  nic.on('ready', ({ vf }) => say(`${vf}: its driver is running.`));
  const pair = startGuests(nic);
  cleanups.push(() => pair.close());
  await pair.connected();
  const roundTripsMs = await pair.ping(pingCount);
  const medianMs = roundMs(median(roundTripsMs));
  say(`vm1 pings vm2: ${roundTripsMs.length} of ${pingCount} answered, median ${medianMs} ms.`);
  const forwardMbps = await stream(nic, pair, 'forward', Math.ceil(options.seconds / 2));
  const reverseMbps = await stream(nic, pair, 'reverse', Math.floor(options.seconds / 2));
  const world = await reachWorld(nic, pair, cleanups, say);
  const measured = { guests: pair.kind, roundTripsMs, forwardMbps, reverseMbps, world };
  return makeReport(measured, nic.stats());
}

function startGuests(nic: Nic): GuestPair {
  const [first, second] = nic.vfs().map(({ name, socket, mac }) => ({ name, socket, mac }));
  const missing = missingForGuests();
  const isLinux = missing.length === 0;
  if (isLinux) say('Booting two Linux machines under QEMU (a few seconds) …');
  else say(`Missing: ${missing.join(', ')}. Two built-in guests replace the virtual machines.`);
  const start = isLinux ? startLinuxGuests : startBuiltInGuests;
  return start(first as Attachment, second as Attachment);
}

async function stream(
  nic: Nic,
  pair: GuestPair,
  direction: Direction,
  seconds: number,
): Promise<number> {
  const table = new LiveTable(nic, process.stdout);
  const way = direction === 'forward' ? 'vm1 → vm2' : 'vm2 → vm1';
  table.start(`${trafficName(pair.kind)} ${way}`);
  try {
    return await pair.stream(direction, seconds);
  } finally {
    table.stop();
  }
}

function say(line: string): void {
  console.log(line);
}
