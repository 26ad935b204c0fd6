// Two Linux guests and what is between them, measured by what their users would notice.

import { findKernel, type Kernel } from '../../src/demo/guest/kernel.ts';
import { missingForGuests } from '../../src/demo/guest/requirements.ts';
import { cpuSecondsOf } from '../../src/os/cpu-time.ts';
import { CoreClock } from '../disturbance.ts';
import { reserveHugePages } from '../huge-pages.ts';
import { heddleName } from '../peers/heddle.ts';
import { busySeconds } from '../proc.ts';
import { makeTemporaryDirectory } from '../resources.ts';
import type { SuiteContext } from '../suites/suite.ts';
import { buildImage } from './image.ts';
import {
  bridgeLink,
  type Link,
  type Offloads,
  streamLink,
  vdeLink,
  vhostUserLink,
} from './links.ts';
import { Machine } from './machine.ts';
import { pingTimes, reach, requestTimes, streamMbps } from './traffic.ts';

const addresses = ['10.0.0.1', '10.0.0.2'] as const;
/** The machines and the switch share two cores, so other work may use only this much of them. */
export const foreignCoresMax = 0.1;
/** testpmd’s vhost ports do not learn addresses; it is measured where that does not matter. */
const ceilingName = 'testpmd-vhost';

const vmOnlyLinks = (): readonly Link[] => [bridgeLink(), streamLink(), vdeLink()];

/** Guests that leave checksums and segmentation to the NIC are measured separately. */
export const tcpPlain = 'TCP, no offloads';
export const tcpOffloaded = 'TCP, offloads';
/** One guest of each kind. */
export const tcpMixed = 'TCP, offloads of one guest';
const tcpOf = { none: tcpPlain, all: tcpOffloaded, mixed: tcpMixed } as const;

export async function runVm(context: SuiteContext): Promise<void> {
  const missing = missingForGuests();
  const kernel = findKernel();
  if (kernel === undefined || missing.length > 0) {
    context.omit('vm', `virtual machines need ${missing.join(', ')}`);
    return;
  }
  const links = usableLinks(context);
  const directory = makeTemporaryDirectory('image');
  const image = buildImage(kernel, directory.path);
  for (let round = 0; round < context.profile.vm.rounds; round += 1) {
    for (const link of links) {
      for (const offloads of offloadsOf(context, link)) {
        const what = `vm, ${link.name}, ${tcpOf[offloads]}, round ${round + 1}`;
        const place = { link, offloads, round };
        await context.attempt(what, () => visit(context, place, kernel, image));
      }
    }
  }
  directory.remove();
}

function usableLinks(context: SuiteContext): Link[] {
  const { profile, wanted } = context;
  const switches = context.peers.filter(({ name }) => name !== ceilingName).map(vhostUserLink);
  const isWanted = ({ name }: Link) => wanted.length === 0 || wanted.includes(name);
  return [...switches, ...vmOnlyLinks().filter(isWanted)].filter((link) => {
    const isOfProfile = profile.vm.links?.includes(link.name) ?? true;
    const isAsked = isOfProfile || wanted.includes(link.name);
    const reason = isAsked ? link.available() : `not in the profile ${profile.name}`;
    if (reason !== null) context.omit(`vm, ${link.name}`, reason);
    return reason === null;
  });
}

function offloadsOf({ profile }: SuiteContext, { name, canOffload }: Link): readonly Offloads[] {
  if (!canOffload) return ['none'];
  // Only Heddle promises something about unlike guests.
  return name === heddleName && profile.vm.hasMixed ? ['none', 'mixed', 'all'] : ['none', 'all'];
}

interface Place {
  readonly link: Link;
  readonly offloads: Offloads;
  readonly round: number;
}

async function visit(
  context: SuiteContext,
  place: Place,
  kernel: Kernel,
  image: string,
): Promise<void> {
  const machines: Machine[] = [];
  const { link } = place;
  try {
    reserveHugePages();
    const ends = await link.start(place.offloads);
    for (const [index, end] of ends.entries()) {
      const [name, mac] = [`vm${index + 1}`, `02:00:00:00:20:0${index + 1}`];
      const address = `${addresses[index]}/24`;
      const plan = { name, mac, address, kernel, image, end, prefix: link.prefix() };
      const machine = new Machine(plan);
      machines.push(machine);
      // One after another: the server of a stream link must exist first.
      await machine.booted();
    }
    const [client, server] = machines as [Machine, Machine];
    await reach(client, addresses[1]);
    await measure(context, place, client, server);
  } finally {
    for (const machine of machines) await machine.stop();
    await link.stop();
  }
}

type Figures = readonly (readonly [metric: string, unit: string, value: number])[];

async function measure(
  context: SuiteContext,
  { link, offloads, round }: Place,
  client: Machine,
  server: Machine,
): Promise<void> {
  const { streamSeconds, trips } = context.profile.vm;
  const loads = [client.pid, server.pid];
  const record = async (workload: string, work: () => Promise<Figures>) => {
    const clock = (pids: readonly number[]) =>
      new CoreClock(() => pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0));
    const [ofSwitch, ofLoad, ofAll] = [
      clock(link.pids()),
      clock(loads),
      new CoreClock(busySeconds),
    ];
    const figures = await work();
    const [switchCores, generatorCores] = [ofSwitch.cores(), ofLoad.cores()];
    const foreign = ofAll.cores() - switchCores - generatorCores;
    for (const [metric, unit, value] of figures) {
      context.record({
        ...{ suite: 'vm', peer: link.name, round, workload, x: null, metric, unit, value },
        ...{ isDisturbed: foreign > foreignCoresMax, switchCores, generatorCores },
      });
    }
  };
  await record(tcpOf[offloads], async () => {
    const there = await streamMbps(client, server, addresses[1], streamSeconds, false);
    const back = await streamMbps(client, server, addresses[1], streamSeconds, true);
    return [
      ['one way', 'Mbit/s', there],
      ['the other way', 'Mbit/s', back],
      ['both ways', 'Mbit/s', there + back],
    ];
  });
  // Single datagrams need no offloads.
  if (offloads !== 'none') return;
  await record('UDP request/response', async () => {
    const { p50, p99 } = await requestTimes(client, server, addresses[1], trips);
    return [
      ['p50', 'µs', p50],
      ['p99', 'µs', p99],
    ];
  });
  await record('ping', async () => {
    const { min, average } = await pingTimes(client, addresses[1], trips);
    return [
      ['RTT, least', 'ms', min],
      ['RTT, mean', 'ms', average],
    ];
  });
}
