// TCP between a guest and its host over a TAP: Heddle's uplink against QEMU's own back end.

import { join } from 'node:path';
import { chardevRole, installedQemuVersion } from '../../src/api/qemu-version.ts';
import { findKernel } from '../../src/demo/guest/kernel.ts';
import { missingForGuests } from '../../src/demo/guest/requirements.ts';
import { cpuSecondsOf } from '../../src/os/cpu-time.ts';
import { Child } from '../child.ts';
import { CoreClock } from '../disturbance.ts';
import { NetworkNamespace } from '../namespace.ts';
import { createHeddle, heddleName } from '../peers/heddle.ts';
import { busySeconds } from '../proc.ts';
import { makeTemporaryDirectory } from '../resources.ts';
import type { SuiteContext } from '../suites/suite.ts';
import { buildImage } from './image.ts';
import type { LinkEnd } from './links.ts';
import { Machine } from './machine.ts';
import { foreignCoresMax } from './suite.ts';
import { reach, streamTo } from './traffic.ts';

export const hostTapWorkload = 'TAP, guest and host';
export const qemuTapName = 'qemu-tap';

const what = `uplinks, ${hostTapWorkload}`;
const [hostAddress, guestAddress] = ['10.0.0.254', '10.0.0.1'];
const serverSeconds = 10;

export async function runHostTap(context: SuiteContext): Promise<void> {
  const missing = missingForGuests();
  if (missing.length > 0) return context.omit(what, `virtual machines need ${missing.join(', ')}`);
  if (context.profile.uplinks.guestRounds === 0) {
    return context.omit(what, `not in the profile ${context.profile.name}`);
  }
  await context.attempt(what, () => measure(context));
}

/** A guest, its host (a network namespace), and the TAP between them. */
interface Place {
  readonly name: string;
  readonly guest: Machine;
  /** Guest, host and what is between them. */
  pids(): readonly number[];
  switchPids(): readonly number[];
  close(): Promise<void>;
}

/** Both guests run all the time; the idle one sleeps. */
async function measure(context: SuiteContext): Promise<void> {
  const directory = makeTemporaryDirectory('host');
  const places: Place[] = [];
  try {
    const kernel = findKernel();
    if (kernel === undefined) throw new Error('no kernel');
    const image = buildImage(kernel, directory.path);
    const boot = (end: LinkEnd, prefix: readonly string[]) => {
      const address = `${guestAddress}/24`;
      return new Machine({ name: 'vm1', mac, address, kernel, image, end, prefix });
    };
    places.push(await throughHeddle(join(directory.path, 'vf.sock'), boot));
    places.push(await throughQemu(boot));
    // In parallel: a guest reports only once that it is ready, and somebody must listen.
    await Promise.all(places.map(({ guest }) => guest.booted()));
    for (const { guest } of places) await reach(guest, hostAddress);
    for (let round = 0; round < context.profile.uplinks.guestRounds; round += 1) {
      for (const place of places) await visit(context, place, round);
    }
  } finally {
    for (const place of places) await place.close();
    directory.remove();
  }
}

const mac = '02:00:00:00:20:01';
type Boot = (end: LinkEnd, prefix: readonly string[]) => Machine;

async function throughHeddle(socket: string, boot: Boot): Promise<Place> {
  const host = new NetworkNamespace();
  const uplink = { name: 'host', type: 'tap', interface: 'tap0' } as const;
  const nic = createHeddle({ prefix: host.prefix, uplinks: [uplink] });
  await nic.start([socket]);
  const server = await serve(host);
  const chardev = `socket,id=vf,path=${socket},${chardevRole('server', installedQemuVersion())}`;
  const guest = boot({ chardev, netdev: 'vhost-user,id=net,chardev=vf' }, []);
  return {
    ...{ name: heddleName, guest },
    pids: () => [...nic.pids(), server.pid, guest.pid],
    switchPids: () => nic.pids(),
    async close() {
      await guest.stop();
      await server.stop();
      await nic.stop();
      host.remove();
    },
  };
}

async function throughQemu(boot: Boot): Promise<Place> {
  const host = new NetworkNamespace();
  host.ip('tuntap add tap0 mode tap vnet_hdr');
  host.ip('link set tap0 up');
  const server = await serve(host);
  const guest = boot({ netdev: 'tap,id=net,ifname=tap0,script=no,downscript=no' }, host.prefix);
  return {
    ...{ name: qemuTapName, guest },
    pids: () => [server.pid, guest.pid],
    switchPids: () => [],
    async close() {
      await guest.stop();
      await server.stop();
      host.remove();
    },
  };
}

async function serve(host: NetworkNamespace): Promise<Child> {
  host.ip(`address add ${hostAddress}/24 dev tap0`);
  const [command, ...words] = [...host.prefix, 'iperf3', '--server', '--forceflush'];
  const server = new Child('iperf3', command!, words);
  await server.waitFor(/Server listening/, 0, serverSeconds);
  return server;
}

async function visit(
  context: SuiteContext,
  { name, guest, pids, switchPids }: Place,
  round: number,
): Promise<void> {
  const clockOf = (list: readonly number[]) =>
    new CoreClock(() => list.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0));
  const [own, ofSwitch, all] = [clockOf(pids()), clockOf(switchPids()), new CoreClock(busySeconds)];
  const { streamSeconds } = context.profile.uplinks;
  const there = await streamTo(guest, hostAddress, streamSeconds, false);
  const back = await streamTo(guest, hostAddress, streamSeconds, true);
  const [ownCores, switchCores] = [own.cores(), ofSwitch.cores()];
  const isDisturbed = all.cores() - ownCores > foreignCoresMax;
  const figures = [
    ['to the host', there],
    ['from the host', back],
    ['both ways', there + back],
  ] as const;
  for (const [metric, value] of figures) {
    context.record({
      ...{ suite: 'uplinks', peer: name, round, workload: hostTapWorkload, x: null },
      ...{ metric, unit: 'Mbit/s', value, isDisturbed, switchCores },
      generatorCores: ownCores - switchCores,
    });
  }
}
