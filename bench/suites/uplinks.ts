// What an uplink carries: from a guest to another network namespace, to the host, and when idle.
//
//            ┌ near ───────────────────────────┐     ┌ far ┐
//   driver ══╪═ heddle ─ packet uplink ─ veth ─┼─────┼─►   │   the kernel counts what arrives
//            │   TAP writer ─ TAP ─ bridge ─ veth ───┼─►   │
//            └─────────────────────────────────┘     └─────┘

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.ts';
import { CoreClock, isDisturbed } from '../disturbance.ts';
import type { Driver } from '../driver/client.ts';
import { NetworkNamespace } from '../namespace.ts';
import { createHeddle, heddleName } from '../peers/heddle.ts';
import { switchCore } from '../peers/peer.ts';
import { runHostTap } from '../vm/host-tap.ts';
import { missingForTaps } from '../vm/links.ts';
import { warmUpSeconds } from './forward.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';
import { runIdleUplinks } from './uplinks-idle.ts';
import { runUplinksInward } from './uplinks-inward.ts';
import { missingForXdp, outwardWorkload, runUplinksXdp } from './uplinks-xdp.ts';

export const packetWorkload = 'packet, 64 KiB';
export const bridgeName = 'bridge-tap';

const writerScript = fileURLToPath(new URL('../driver/tap-writer.js', import.meta.url));
const writerSeconds = 20;
/** Time to read the counters at the end of the window, while frames still flow. */
const graceSeconds = 0.2;
const receiveBufferBytes = 4096;

export async function runUplinks(context: SuiteContext): Promise<void> {
  if (!context.peers.some(({ name }) => name === heddleName)) {
    context.omit('uplinks', 'it measures only Heddle, which is not selected');
    return;
  }
  const missing = missingForTaps();
  if (missing !== null) {
    context.omit('uplinks', missing);
    return;
  }
  await context.attempt(`uplinks, ${packetWorkload}`, () => runPacket(context));
  await runUplinksInward(context);
  const noXdp = missingForXdp();
  if (noXdp === null) await runUplinksXdp(context);
  else context.omit(`uplinks, ${outwardWorkload}`, noXdp);
  await runHostTap(context);
  await context.attempt('uplinks, idle', () => runIdleUplinks(context));
}

/** A sender, and the interface on the far side where its frames arrive. */
interface Way {
  readonly name: string;
  readonly arrival: string;
  /** Sends for that long. Returns the CPU seconds per second of the frames' producer. */
  send(seconds: number): Promise<number | null>;
  cpuSeconds(): number;
}

async function runPacket(context: SuiteContext): Promise<void> {
  const [near, far] = [new NetworkNamespace(), new NetworkNamespace()];
  let writer: Child | null = null;
  try {
    layCables(near, far);
    const uplink = { name: 'lan', type: 'packet', interface: 'near0' } as const;
    const peer = createHeddle({ prefix: near.prefix, uplinks: [uplink] });
    const [ip, ...words] = [...near.prefix, process.execPath, writerScript, 'tap0'];
    writer = new Child('the TAP writer', ip!, words, { cores: String(switchCore) });
    await writer.waitFor(/^ready\n/m, 0, writerSeconds, 'printed');
    const bridge = bridgeWay(writer);
    const options = { hasHugePages: false, superFrames: { receiveBufferBytes } };
    await withDriver(peer, 1, options, async (driver) => {
      const cpuSeconds = () => peer.cpuSeconds();
      const ways = [{ ...heddleWay(driver), cpuSeconds }, bridge];
      // A warm-up: Heddle's part is JavaScript, which V8 compiles once it is warm.
      await driver.flood({ seconds: warmUpSeconds });
      for (let round = 0; round < context.profile.uplinks.rounds; round += 1) {
        for (const way of ways) await visit(context, way, far, round);
      }
    });
  } finally {
    await writer?.stop();
    near.remove();
    far.remove();
  }
}

function layCables(near: NetworkNamespace, far: NetworkNamespace): void {
  for (const n of [0, 1]) {
    near.ip(`link add near${n} type veth peer name far${n} netns ${far.name}`);
    far.ip(`link set far${n} up`);
    near.ip(`link set near${n} up`);
  }
  near.ip('link add br0 type bridge');
  near.ip('tuntap add tap0 mode tap vnet_hdr');
  for (const name of ['tap0', 'near1']) near.ip(`link set ${name} master br0 up`);
  near.ip('link set br0 up');
}

function heddleWay(driver: Driver): Omit<Way, 'cpuSeconds'> {
  return {
    ...{ name: heddleName, arrival: 'far0' },
    send: async (seconds) => (await driver.flood({ seconds })).generatorCores,
  };
}

function bridgeWay(writer: Child): Way {
  let read = 0;
  return {
    ...{ name: bridgeName, arrival: 'far1' },
    async send(seconds) {
      writer.write(`${seconds}\n`);
      read = await writer.waitFor(/^done\n/m, read, seconds + writerSeconds, 'printed');
      return null;
    },
    cpuSeconds: () => writer.cpuSeconds(),
  };
}

async function visit(
  context: SuiteContext,
  way: Way,
  far: NetworkNamespace,
  round: number,
): Promise<void> {
  const { windowSeconds } = context.profile.uplinks;
  const sending = way.send(warmUpSeconds + windowSeconds + graceSeconds);
  await sleep(warmUpSeconds * 1000);
  const before = far.receivedBytes(way.arrival);
  const clock = new CoreClock(() => way.cpuSeconds());
  await sleep(windowSeconds * 1000);
  const bytes = far.receivedBytes(way.arrival) - before;
  const [switchCores, seconds] = [clock.cores(), clock.elapsedSeconds];
  const generatorCores = await sending;
  context.record({
    ...{ suite: 'uplinks', peer: way.name, round, workload: packetWorkload, x: null },
    ...{ metric: 'rate', unit: 'Gbit/s', value: (bytes * 8) / seconds / 1e9 },
    isDisturbed: isDisturbed(switchCores, generatorCores ?? 1),
    ...{ switchCores, generatorCores },
  });
}
