import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CTRL_VQ,
} from '../../layout/virtio.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES, enableRing } from '../../src/testing/handshake.ts';
import { MockGuest, type MockGuestOptions } from '../../src/testing/mock-guest.ts';
import { MockIommu } from '../../src/testing/mock-iommu.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { ProtocolFeature } from '../../src/vhost-user/message.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from '../offload/feature-sets.ts';
import { netHeaderBytes, superPacket } from '../offload/packets.ts';
import { Arrivals } from '../support/arrivals.ts';
import { setPromiscuous } from '../support/control-commands.ts';
import { type FarEnd, openDgramEnd } from '../support/far-end.ts';
import { enterNamespace, namespaceMissing } from '../support/namespace.ts';
import { farMemory, Repeater } from '../support/repeater.ts';
import { TestNic } from '../support/test-nic.ts';
import { inTime, waitUntil } from '../support/wait-until.ts';
import { WorkGauge } from '../support/work-gauge.ts';
import { WORK } from '../support/work-record.ts';

// What a processor does is somebody's: its time, but for that in which it looked for work and found
// none, is in the accounts of those who caused the work.

const BUSY_NANOSECONDS = 10e6;
/** What the machine does beside it is in some of the parts; what is not charged, in each. */
const PARTS = 9;
/** So much of the time may be missing, or too much: looks at the clock are not exact. */
const ERROR = 0.05;
/** The same where work is done in pieces that take little longer than such a look: system calls. */
const ERROR_IN_PIECES = 0.08;
const QUEUE_SIZE = 1024;
const SENDER = 0;
const RECEIVER = 1;
const VFS = 8;
const FAR_MAC = '02:00:00:00:ff:01';
const IOVA_OFFSET = 0x7_0000_1000;
/** Bytes of a chain whose windows are all missing, and such chains. */
const SCATTERED = [250, 4] as const;

let gauge: WorkGauge;
let lab: TestNic;
let sender: MockGuest;
let close: (() => void)[];

beforeEach(async () => {
  close = [];
  gauge = new WorkGauge();
  lab = await TestNic.start({ vfs: VFS });
});

afterEach(async () => {
  await lab.close();
  for (const one of close) one();
  gauge.close();
});

/** All but the sender, who keeps to itself, and one that the test has connected. */
async function connectOthers(but = SENDER): Promise<void> {
  for (let number = RECEIVER; number < VFS; number++) {
    if (number !== but) await lab.connect(number, { onFrame: () => undefined });
  }
}

async function attach(options: MockGuestOptions = {}): Promise<Repeater> {
  const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_CTRL_VQ];
  sender = await lab.connect(SENDER, { isRaw: true, features, queueSize: QUEUE_SIZE, ...options });
  return new Repeater(sender);
}

function frameTo(to: string, length: number): Uint8Array {
  return plainFrame({ to, from: lab.mac(SENDER) }, length);
}

async function openUplink(): Promise<FarEnd> {
  const [socket, peer] = [`${lab.directory}/up.sock`, `${lab.directory}/far.sock`];
  const far = openDgramEnd(peer, socket);
  close.push(() => far.close());
  await addUplink({ name: 'up', type: 'dgram', socket, peer });
  return far;
}

async function addUplink(config: UplinkConfigInput): Promise<void> {
  await lab.nic.addUplink(config);
  const state = () => lab.nic.uplink('up').state;
  await waitUntil(() => state() === 'up', state);
}

interface Work {
  busy: number;
  charged: number;
  /** Of all that was charged. */
  of: readonly number[];
  lookAhead: number;
  messages: number;
  pulls: number;
}

function workSoFar(): Work {
  const { vfs, uplinks } = lab.nic.stats();
  const of = [...vfs, ...uplinks].map(({ account }) => account.workNanoseconds);
  const charged = of.reduce((sum, work) => sum + work, 0);
  const lookAhead = gauge.hostNanoseconds(WORK.LOOK_AHEAD);
  const messages = gauge.hostNanoseconds(WORK.MESSAGES);
  const pulls = gauge.hostNanoseconds(WORK.PULLS);
  return { busy: gauge.busyNanoseconds, charged, of, lookAhead, messages, pulls };
}

type Act = () => void | Promise<void>;

/** Repeats `act` for some while. Returns the part of it that the accounts cover as usual. */
async function work(act: Act): Promise<Work> {
  const parts: Work[] = [];
  for (let part = 0; part < PARTS; part++) parts.push(await workOnce(act));
  const covered = ({ busy, charged }: Work) => charged / busy;
  parts.sort((one, other) => covered(one) - covered(other));
  console.log(`charged ${parts.map((part) => (100 * covered(part)).toFixed(1)).join(' ')} %`);
  return parts[(PARTS - 1) / 2]!;
}

/** Repeats `act` until the processor was busy for a while. Returns what that took. */
async function workOnce(act: Act): Promise<Work> {
  const before = workSoFar();
  while (gauge.busyNanoseconds - before.busy < BUSY_NANOSECONDS) {
    await act();
    await new Promise((resolve) => setImmediate(resolve));
  }
  let last = -1;
  await waitUntil(
    () => {
      const settled = gauge.busyNanoseconds === last;
      last = gauge.busyNanoseconds;
      return settled;
    },
    () => last,
  );
  const after = workSoFar();
  const since = (what: Exclude<keyof Work, 'of'>) => after[what] - before[what];
  const [busy, charged] = [since('busy'), since('charged')];
  const of = after.of.map((value, at) => value - (before.of[at] ?? 0));
  const host = { lookAhead: since('lookAhead'), messages: since('messages') };
  return { busy, charged, of, ...host, pulls: since('pulls') };
}

/** `error`: of all that was done. */
function expectComplete({ busy, charged }: Work, error = ERROR): void {
  expect(charged / busy).toBeGreaterThan(1 - error);
  expect(charged / busy).toBeLessThan(1 + error);
}

describe('the accounts have all that a processor did', () => {
  it.each([
    ['64 bytes', 60, 65536, RECEIVER],
    ['1514 bytes', 1514, 65536, RECEIVER],
    ['chains of 250', 1500, 6, RECEIVER],
    ['broadcasts', 60, 65536, -1],
  ] as const)('frames: %s', async (_, length, piece, to) => {
    await connectOthers();
    const target = to < 0 ? BROADCAST : lab.mac(to);
    const frames = (await attach()).writeFrame(frameTo(target, length), { piece });
    expectComplete(await work(() => frames.offer()));
  });

  it.each([
    ['segmented for their receiver', PLAIN_FEATURES],
    ['passed whole', ALL_FEATURES],
  ])('super-frames: %s', async (_, features) => {
    await connectOthers(RECEIVER);
    const raw = { isRaw: true, queueSize: QUEUE_SIZE };
    const receiver = await lab.connect(RECEIVER, { ...raw, features });
    const buffers = new Repeater(receiver, 0).writeBuffer(65_565);
    // So few that all of their segments have buffers.
    const frames = await attach({ features: ALL_FEATURES, queueSize: 16 });
    const addresses = { to: lab.mac(RECEIVER), from: lab.mac(SENDER) };
    const shape = { ...addresses, version: 4, transport: 'tcp', payloadLength: 40_000 } as const;
    const { frame, header } = superPacket(shape, 1448);
    frames.writeFrame(frame, { header: netHeaderBytes(header) });
    const taken = await work(() => {
      buffers.offer();
      frames.offer();
    });
    expectComplete(taken);
    expect(lab.stats(RECEIVER).rx.segments > 0).toBe(features === PLAIN_FEATURES);
    expect(lab.drops(RECEIVER)).toEqual({});
  });

  it('windows that were missing', async () => {
    await connectOthers();
    const [bytes, count] = SCATTERED;
    const memory = farMemory(bytes * count);
    const frames = await attach({ memory, slots: 1 });
    for (let i = 0; i < count; i++) frames.writeScattered(i * bytes, bytes);
    const taken = await work(() => frames.offer());
    close.push(() => memory.close());
    expectComplete(taken);
  });

  it('commands on a control queue, charged to who sends them', async () => {
    await connectOthers();
    await attach();
    const commands = new Repeater(sender, sender.queues.controlNumber);
    commands.writeRequest(setPromiscuous(1));
    const taken = await work(() => commands.offer());
    expectComplete(taken, ERROR_IN_PIECES);
    expect(taken.of[SENDER]! / taken.busy).toBeGreaterThan(1 - ERROR_IN_PIECES);
  });

  it('messages of a front-end, charged to its guest', async () => {
    await connectOthers();
    await attach();
    let isEnabled = true;
    const taken = await work(async () => {
      isEnabled = !isEnabled;
      await enableRing(sender.frontEnd, 0, isEnabled);
    });
    expect(taken.messages / taken.busy).toBeGreaterThan(0.9); // this is what the test is about
    expectComplete(taken, ERROR_IN_PIECES);
    expect(taken.of[SENDER]! / taken.busy).toBeGreaterThan(1 - ERROR_IN_PIECES);
  });

  it('the look at buffers behind an IOMMU, charged to who has posted them', async () => {
    const frontEnd = FrontEnd.connect(lab.socket(RECEIVER));
    const guest = await MockGuest.negotiate(frontEnd, {
      onFrame: () => undefined,
      features: [...MODERN_FEATURES, VIRTIO_F_ACCESS_PLATFORM],
      protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
      memory: { iovaOffset: IOVA_OFFSET },
    });
    const iommu = await MockIommu.attach(frontEnd, guest.queues.memory);
    close.push(() => {
      iommu.close();
      guest.close();
    });
    await guest.start();
    await iommu.until(() => lab.nic.vf(`vf${RECEIVER}`).rings.length === 2);
    await connectOthers(RECEIVER);
    const frames = (await attach()).writeFrame(frameTo(lab.mac(RECEIVER), 60));
    const taken = await work(() => frames.offer());
    expectComplete(taken);
    const { of, lookAhead, messages } = taken;
    expect(lookAhead / taken.busy, 'there are such looks').toBeGreaterThan(0.001);
    // Most looks find nothing new, and take little longer than one at the clock.
    expect(of[RECEIVER]! / (lookAhead + messages)).toBeGreaterThan(0.7);
    expect(of[RECEIVER]! / (lookAhead + messages)).toBeLessThan(1 + ERROR_IN_PIECES);
  });

  it('what an uplink brings while nobody else has anything to do', async () => {
    const arrivals = new Arrivals();
    const onFrame = (frame: Uint8Array) => {
      arrivals.frames.push(frame);
      arrivals.tell();
    };
    await lab.connect(RECEIVER, { onFrame });
    await connectOthers(RECEIVER);
    const far = await openUplink();
    const incoming = plainFrame({ to: lab.mac(RECEIVER), from: FAR_MAC }, 60);
    let sent = 0;
    const taken = await work(async () => {
      for (let i = 0; i < 8 && far.send(incoming); i++) sent += 1;
      await inTime(arrivals.wait(sent), () => `${arrivals.frames.length} of ${sent}`);
    });
    expect(taken.pulls / taken.busy).toBeGreaterThan(0.1);
    expectComplete(taken);
  });

  it.each([
    ['in both directions', true, true],
    ['to it', true, false],
    ['from it', false, true],
  ])('frames through an uplink, %s', async (_, sends, receives) => {
    await connectOthers();
    const far = await openUplink();
    const frames = await attach();
    const incoming = plainFrame({ to: lab.mac(RECEIVER), from: FAR_MAC }, 1000);
    far.send(incoming);
    frames.writeFrame(frameTo(FAR_MAC, 1000));
    const taken = await work(() => {
      if (sends) frames.offer();
      for (let i = 0; receives && i < 32; i++) if (!far.send(incoming)) break;
    });
    expectComplete(taken, ERROR_IN_PIECES);
    if (!sends) expect(taken.of[VFS]! / taken.charged).toBeGreaterThan(1 - ERROR);
  });

  it('frames through a TAP', async (context) => {
    if (namespaceMissing !== undefined) return context.skip(namespaceMissing);
    enterNamespace();
    await connectOthers();
    await addUplink({ name: 'up', type: 'tap', interface: 'up0' });
    const frames = (await attach()).writeFrame(frameTo(FAR_MAC, 1000));
    expectComplete(await work(() => frames.offer()));
    expect(lab.nic.uplink('up').name).toBe('up');
  });
});
