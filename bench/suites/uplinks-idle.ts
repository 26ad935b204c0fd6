// The cost of idle uplinks: two NICs at once, one with uplinks and one without. Neither does
// anything, so they do not disturb each other.

import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindDatagramSocket } from '../../src/os/datagram-socket.ts';
import { c } from '../../src/os/libc.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { CoreClock } from '../disturbance.ts';
import { NetworkNamespace } from '../namespace.ts';
import { createHeddle } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import { sleepsOf } from '../proc.ts';
import { makeTemporaryDirectory } from '../resources.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';

const vfCount = 8;
const driverOptions = { ringSize: 256, hasHugePages: false };
export const idleWorkload = `idle, ${vfCount} VFs and 4 uplinks`;
const bareWorkload = `idle, ${vfCount} VFs alone`;

export async function runIdleUplinks(context: SuiteContext): Promise<void> {
  const directory = makeTemporaryDirectory('uplinks');
  const namespace = new NetworkNamespace();
  const socket = (name: string) => join(directory.path, name);
  // Peers, so that the uplinks are up: one whose dgram peer is absent checks for it twice a second.
  const dgramPeer = bindDatagramSocket(socket('theirs'));
  try {
    namespace.ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) namespace.ip(`link set ${name} up`);
    const uplinks: UplinkConfigInput[] = [
      { name: 'host', type: 'tap', interface: 'heddle0' },
      { name: 'lan', type: 'packet', interface: 'near' },
      { name: 'old', type: 'stream', socket: socket('stream') },
      { name: 'older', type: 'dgram', socket: socket('ours'), peer: socket('theirs') },
    ];
    const connected = createHeddle({ prefix: namespace.prefix, uplinks });
    const bare = createHeddle();
    await withDriver(connected, vfCount, driverOptions, () =>
      withDriver(bare, vfCount, driverOptions, async () => {
        const streamPeer = connect(socket('stream'));
        await once(streamPeer, 'connect');
        await measure(context, [
          [idleWorkload, connected],
          [bareWorkload, bare],
        ]);
        streamPeer.destroy();
      }),
    );
  } finally {
    c.close(dgramPeer);
    namespace.remove();
    directory.remove();
  }
}

async function measure(
  context: SuiteContext,
  nics: readonly (readonly [workload: string, nic: Peer])[],
): Promise<void> {
  const { settleSeconds, windowSeconds } = context.profile.idle;
  await sleep(settleSeconds * 1000);
  const wakeUps = (nic: Peer) => nic.pids().reduce((sum, pid) => sum + sleepsOf(pid), 0);
  const starts = nics.map(([, nic]) => ({
    clock: new CoreClock(() => nic.cpuSeconds()),
    wakeUps: wakeUps(nic),
  }));
  await sleep(windowSeconds * 1000);
  for (const [index, [workload, nic]] of nics.entries()) {
    const start = starts[index]!;
    const switchCores = start.clock.cores();
    const perSecond = (wakeUps(nic) - start.wakeUps) / start.clock.elapsedSeconds;
    const common = {
      ...({ suite: 'uplinks', peer: nic.name, round: 0, workload, x: null } as const),
      ...{ isDisturbed: false, switchCores, generatorCores: null },
    };
    context.record({ ...common, metric: 'CPU', unit: '% of a core', value: switchCores * 100 });
    context.record({ ...common, metric: 'wake-ups', unit: '1/s', value: perSecond });
  }
}
