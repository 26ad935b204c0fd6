// Two kinds of uplink on an interface: AF_XDP and packet sockets, with the smallest frames, one
// guest and a veth as the wire. Copy mode: a veth supports no other.
//
//   core 0   heddle: switch, uplink, the kernel's side of sending up to the wire
//   core 1   the driver, and the far end, as on a network: a thread of the kernel takes what comes
//
// Without that thread, the kernel runs the far end on the sender's core, where it costs more than
// everything else. That is measured too, because it is the default of a veth.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadXdpLibrary } from '../../src/os/libxdp.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { run } from '../commands.ts';
import { CoreClock, isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import { NetworkNamespace } from '../namespace.ts';
import { createHeddle, type HeddlePeer, heddleName } from '../peers/heddle.ts';
import { generatorCore } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';

export const outwardWorkload = '64 B to the world';
const sameCoreWorkload = `${outwardWorkload}, far end on the same core`;
const types = ['packet', 'xdp'] as const;
/** What AF_XDP is compared with. */
export const packetName = 'heddle, packet';

const warmUpSeconds = 0.3;
/** Time to read the counters at the end of the window, while frames still flow. */
const graceSeconds = 0.2;
/** An Ethernet frame without its checksum. */
const frameBytes = 60;

/** Why AF_XDP cannot be measured here, or null. */
export function missingForXdp(): string | null {
  try {
    loadXdpLibrary();
    return null;
  } catch {
    return 'libxdp is not installed (Debian package libxdp1)';
  }
}

/** In turns, each with its own NIC and a fresh interface. */
export async function runUplinksXdp(context: SuiteContext): Promise<void> {
  for (let round = 0; round < context.profile.uplinks.rounds; round += 1) {
    for (const workload of [outwardWorkload, sameCoreWorkload]) {
      for (const type of types) {
        const what = `uplinks, ${workload}, ${type}, round ${round + 1}`;
        await context.attempt(what, () => visit(context, type, round, workload));
      }
    }
  }
}

async function visit(
  context: SuiteContext,
  type: (typeof types)[number],
  round: number,
  workload: string,
): Promise<void> {
  const [near, far] = [new NetworkNamespace(), new NetworkNamespace()];
  try {
    near.ip(`link add near type veth peer name far netns ${far.name}`);
    far.ip('link set far up');
    near.ip('link set near up');
    if (workload === outwardWorkload) moveFarEnd(near, far);
    const uplink: UplinkConfigInput = { name: 'lan', type, interface: 'near' };
    const peer = createHeddle({ prefix: near.prefix, uplinks: [uplink] });
    const options = { hasHugePages: false, frameBytes: [frameBytes] };
    await withDriver(peer, 1, options, async (driver) => {
      const { windowSeconds } = context.profile.uplinks;
      const sent = () => near.sentPackets('near');
      const seen = await flood(windowSeconds, driver, peer, sent);
      const { frames, seconds, switchCores, generatorCores } = seen;
      const peerName = type === 'xdp' ? heddleName : packetName;
      context.record({
        ...{ suite: 'uplinks', peer: peerName, round, workload, x: null },
        ...{ metric: 'rate', unit: 'Mpps', value: frames / seconds / 1e6 },
        // The driver shares its core with the far end.
        isDisturbed: isDisturbed(switchCores),
        ...{ switchCores, generatorCores },
      });
    });
  } finally {
    near.remove();
    far.remove();
  }
}

/** Frames that arrive at the far end wait there for a thread: NAPI, which a veth uses with GRO. */
function moveFarEnd(near: NetworkNamespace, far: NetworkNamespace): void {
  const within = ({ prefix: [command, ...words] }: NetworkNamespace, ...rest: string[]) =>
    run(command!, [...words, ...rest]);
  within(near, 'ethtool', '-K', 'near', 'tso', 'off');
  within(far, 'ethtool', '-K', 'far', 'gro', 'on');
  within(far, 'sh', '-c', 'echo 1 > /sys/class/net/far/threaded');
  const threads = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isFarThread(pid));
  for (const pid of threads) run('taskset', ['-pc', String(generatorCore), pid]);
  if (threads.length === 0) throw new Error('the kernel created no thread for the far end');
}

function isFarThread(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('napi/far-');
  } catch {
    return false; // it has ended meanwhile
  }
}

async function flood(
  windowSeconds: number,
  driver: Driver,
  peer: HeddlePeer,
  arrived: () => number,
): Promise<{ frames: number; seconds: number; switchCores: number; generatorCores: number }> {
  const sending = driver.flood({ seconds: warmUpSeconds + windowSeconds + graceSeconds });
  await sleep(warmUpSeconds * 1000);
  const before = arrived();
  const clock = new CoreClock(() => peer.cpuSeconds());
  await sleep(windowSeconds * 1000);
  const frames = arrived() - before;
  const [switchCores, seconds] = [clock.cores(), clock.elapsedSeconds];
  const { generatorCores } = await sending;
  return { frames, seconds, switchCores, generatorCores };
}
