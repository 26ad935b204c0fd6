// From the network into a guest: how fast Heddle takes the frames that wait at the interface.
//
//   core 0   heddle: packet socket, switch, the guest's memory
//   core 1   the sender in the far namespace, the kernel's delivery into the socket, the driver
//
// Heddle is stopped (SIGSTOP) while frames are sent: otherwise the other core, which has to send
// and to receive, would be measured.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.ts';
import type { Driver } from '../driver/client.ts';
import { microseconds } from '../driver/clock.ts';
import { NetworkNamespace } from '../namespace.ts';
import { createHeddle, heddleName } from '../peers/heddle.ts';
import { generatorCore, type Peer } from '../peers/peer.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';

const senderScript = fileURLToPath(new URL('../driver/frame-sender.js', import.meta.url));
const answerSeconds = 20;
const drainSeconds = 2;
const drains = 10;
/** V8 compiles the code on the path once it is warm: after about fifty thousand frames. */
const warmUpDrains = 150;
/** So that the driver already polls its ring when Heddle resumes. */
const settleMilliseconds = 10;
/** The driver sends frames first, so that the switch learns its address. */
const helloSeconds = 0.01;

/** `waiting`: fewer frames than the ring has slots, or than fit into the socket's buffer. */
const loads = [
  { name: '64 B', frameBytes: 60, waiting: 450 },
  { name: '1500 B', frameBytes: 1514, waiting: 450 },
  { name: '64 KiB', frameBytes: 0, waiting: 60 },
] as const;
type Load = (typeof loads)[number];

interface Side {
  readonly driver: Driver;
  readonly peer: Peer;
  readonly sender: Sender;
}

export async function runUplinksInward(context: SuiteContext): Promise<void> {
  for (let round = 0; round < context.profile.uplinks.rounds; round += 1) {
    for (const load of loads) {
      const what = `uplinks, ${load.name} from the world, round ${round + 1}`;
      await context.attempt(what, () => visit(context, load, round));
    }
  }
}

async function visit(context: SuiteContext, load: Load, round: number): Promise<void> {
  const [near, far] = [new NetworkNamespace(), new NetworkNamespace()];
  let sender: Sender | null = null;
  try {
    near.ip(`link add near type veth peer name far netns ${far.name}`);
    far.ip('link set far up');
    near.ip('link set near up');
    const uplink = { name: 'lan', type: 'packet', interface: 'near' } as const;
    const peer = createHeddle({ prefix: near.prefix, uplinks: [uplink] });
    sender = await Sender.start(far, load.frameBytes);
    const superFrames = load.frameBytes === 0 ? { receiveBufferBytes: 68 * 1024 } : null;
    const side = { peer, sender };
    await withDriver(peer, 1, { hasHugePages: false, superFrames }, async (driver) => {
      await driver.flood({ seconds: helloSeconds });
      const { taken, sent } = await drain({ ...side, driver }, load.waiting);
      const record = (workload: string, value: number) =>
        context.record({
          ...{ suite: 'uplinks', peer: heddleName, round, workload, x: null },
          ...{ metric: 'time', unit: 'ns a frame', value },
          ...{ isDisturbed: false, switchCores: null, generatorCores: null },
        });
      record(`${load.name} from the world`, taken);
      record(`${load.name} from the world: the sender's side`, sent);
    });
  } finally {
    await sender?.stop();
    near.remove();
    far.remove();
  }
}

/** Nanoseconds per frame, except the first, which includes waking up: medians. */
async function drain(side: Side, count: number): Promise<{ taken: number; sent: number }> {
  for (let turn = 0; turn < warmUpDrains; turn += 1) await drainOnce(side, count);
  const times = { one: [] as number[], all: [] as number[], sent: [] as number[] };
  for (let turn = 0; turn < drains; turn += 1) {
    times.one.push((await drainOnce(side, 1)).taken);
    const { taken, sent } = await drainOnce(side, count);
    times.all.push(taken);
    times.sent.push(sent / count);
  }
  const taken = (median(times.all) - median(times.one)) / (count - 1);
  return { taken, sent: median(times.sent) };
}

async function drainOnce(
  { driver, peer, sender }: Side,
  count: number,
): Promise<{ taken: number; sent: number }> {
  const signal = (name: NodeJS.Signals) => {
    for (const pid of peer.pids()) process.kill(pid, name);
  };
  signal('SIGSTOP');
  try {
    const sent = await sender.send(count);
    const sinking = driver.sink({ seconds: drainSeconds, frames: count });
    await sleep(settleMilliseconds);
    const started = microseconds();
    signal('SIGCONT');
    const { frames, lastAt } = await sinking;
    if (frames < count) throw new Error(`${frames} of ${count} frames arrived`);
    return { taken: (lastAt - started) * 1000, sent: sent * 1000 };
  } finally {
    signal('SIGCONT');
  }
}

function median(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1]!;
}

class Sender {
  readonly #child: Child;
  #read = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(far: NetworkNamespace, frameBytes: number): Promise<Sender> {
    const command = [...far.prefix, process.execPath, senderScript, 'far', String(frameBytes)];
    const [ip, ...words] = command;
    const child = new Child('the sender', ip!, words, { cores: String(generatorCore) });
    await child.waitFor(/^ready\n/m, 0, answerSeconds, 'printed');
    return new Sender(child);
  }

  /** Returns the microseconds that it took. */
  async send(count: number): Promise<number> {
    this.#child.write(`${count}\n`);
    const from = this.#read;
    this.#read = await this.#child.waitFor(/^done .*\n/m, from, answerSeconds, 'printed');
    return Number(this.#child.printed.slice(from, this.#read).trim().split(' ').at(-1));
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}
