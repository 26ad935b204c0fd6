import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1, VIRTIO_NET_F_CTRL_VQ } from '../../layout/virtio.ts';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { GuestMemory } from '../../src/testing/guest-memory.ts';
import type { MockGuest, MockGuestOptions } from '../../src/testing/mock-guest.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';
import { setPromiscuous } from '../support/control-commands.ts';
import { openDgramEnd } from '../support/far-end.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';
import { WorkGauge } from '../support/work-gauge.ts';

// What a processor does is somebody's: its thread's CPU time, but for the time in which it looked
// for work and found none, is in the accounts of those who caused the work.

const BUSY_NANOSECONDS = 100e6;
/** What is missing from the accounts is missing from each part; what the host takes, from some. */
const PARTS = 5;
const QUEUE_SIZE = 256;
const SENDER = 0;
const RECEIVER = 1;
const VFS = 8;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const HEADER_SIZE = 12;

let gauge: WorkGauge;
let lab: TestNic;
let sender: MockGuest;

beforeEach(async () => {
  gauge = new WorkGauge();
  lab = await TestNic.start({ vfs: VFS });
  for (let number = RECEIVER; number < VFS; number++) {
    await lab.connect(number, { onFrame: () => undefined });
  }
});

afterEach(async () => {
  await lab.close();
  gauge.close();
});

async function attach(options: MockGuestOptions = {}): Promise<void> {
  const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_CTRL_VQ];
  sender = await lab.connect(SENDER, { isRaw: true, features, queueSize: QUEUE_SIZE, ...options });
}

/** Writes a frame into memory of the sender's, in pieces of that size. Returns its chain's head. */
function writeFrame(ring: SplitQueue, at: number, frame: Uint8Array, piece = 65536): number {
  const { memory } = sender.queues;
  const span = memory.allocate(HEADER_SIZE + frame.length);
  memory.bytes.fill(0, span.offset, span.offset + HEADER_SIZE);
  memory.bytes.set(frame, span.offset + HEADER_SIZE);
  const count = Math.ceil(span.length / piece);
  for (let i = 0; i < count; i++) {
    const length = Math.min(piece, span.length - i * piece);
    const flags = i < count - 1 ? DESCRIPTOR_F_NEXT : 0;
    const address = BigInt(span.address + i * piece);
    ring.writeDescriptor(at + i, { address, length, flags, next: at + i + 1 });
  }
  return at;
}

interface Work {
  busy: number;
  charged: number;
  ofSender: number;
}

function workSoFar(): Work {
  const { vfs, uplinks } = lab.nic.stats();
  const works = [...vfs, ...uplinks].map(({ account }) => account.workNanoseconds);
  const charged = works.reduce((sum, work) => sum + work, 0);
  return { busy: gauge.busyNanoseconds, charged, ofSender: works[SENDER] ?? 0 };
}

/** Repeats `act` for some while. Returns the part of it that the accounts cover best. */
async function work(act: () => void): Promise<Work> {
  const parts: Work[] = [];
  for (let part = 0; part < PARTS; part++) parts.push(await workOnce(act));
  const missing = ({ busy, charged }: Work) => Math.abs(1 - charged / busy);
  return parts.reduce((best, one) => (missing(one) < missing(best) ? one : best));
}

/** Repeats `act` until the processor was busy for a while. Returns what that took. */
async function workOnce(act: () => void): Promise<Work> {
  const before = workSoFar();
  while (gauge.busyNanoseconds - before.busy < BUSY_NANOSECONDS) {
    act();
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
  const busy = after.busy - before.busy;
  const charged = after.charged - before.charged;
  const ofSender = after.ofSender - before.ofSender;
  const percent = (part: number) => ((100 * part) / busy).toFixed(2);
  console.log(`charged ${percent(charged)} %, to the sender ${percent(ofSender)} %`);
  return { busy, charged, ofSender };
}

function offer(queue: number, heads: readonly number[]): void {
  const ring = sender.queues.ring(queue) as SplitQueue;
  const under = (ring.availIndex - ring.usedIndex) & 0xffff;
  for (let i = under; i < QUEUE_SIZE; i++) {
    ring.offerRaw(heads[ring.availIndex % heads.length] ?? 0);
  }
  if (ring.publish()) sender.kick(queue);
}

function expectComplete({ busy, charged }: Work): void {
  expect(charged / busy).toBeGreaterThan(0.97);
  expect(charged / busy).toBeLessThan(1.03);
}

describe('the accounts have all that a processor did', () => {
  it.each([
    ['64 bytes', 60, 65536, RECEIVER],
    ['1514 bytes', 1514, 65536, RECEIVER],
    ['chains of 250', 1500, 6, RECEIVER],
    ['broadcasts', 60, 65536, -1],
  ] as const)('frames: %s', async (_, length, piece, to) => {
    await attach();
    const ring = sender.queues.ring(1) as SplitQueue;
    const target = to < 0 ? BROADCAST : lab.mac(to);
    writeFrame(ring, 0, plainFrame({ to: target, from: lab.mac(SENDER) }, length), piece);
    expectComplete(await work(() => offer(1, [0])));
  });

  it('windows that were missing', async () => {
    const [chunk, far, chunks] = [0x400000, 0x1_0000_0000, 1000];
    const memory = new GuestMemory({ regions: [{ guestAddress: 0, sizeBytes: 0x2000000 }] });
    const regions = [{ guestAddress: far, sizeBytes: chunks * chunk }];
    const rest = new GuestMemory({ regions, sparse: true, mappedBytesMax: chunk });
    memory.regions.push(...rest.regions);
    await attach({ memory, queueSize: 1024, slots: 1 });
    const ring = sender.queues.ring(1) as SplitQueue;
    for (let i = 0; i < chunks; i++) {
      const flags = i % 250 === 249 ? 0 : DESCRIPTOR_F_NEXT;
      ring.writeDescriptor(i, { address: BigInt(far + i * chunk), length: 1, flags, next: i + 1 });
    }
    const taken = await work(() => offer(1, [0, 250, 500, 750]));
    memory.close();
    expectComplete(taken);
  });

  it('commands on a control queue', async () => {
    await attach();
    const queue = sender.queues.controlNumber;
    const ring = sender.queues.ring(queue) as SplitQueue;
    const { memory } = sender.queues;
    const bytes = setPromiscuous(1);
    const span = memory.allocate(64);
    memory.bytes.set(bytes, span.offset);
    const readable = { address: BigInt(span.address), length: bytes.length };
    ring.writeDescriptor(0, { ...readable, flags: DESCRIPTOR_F_NEXT, next: 1 });
    const ack = { address: BigInt(span.address + 32), length: 1, flags: DESCRIPTOR_F_WRITE };
    ring.writeDescriptor(1, ack);
    expectComplete(await work(() => offer(queue, [0])));
  });

  it('frames through an uplink, in both directions', async () => {
    const [socket, peer] = [`${lab.directory}/up.sock`, `${lab.directory}/far.sock`];
    const far = openDgramEnd(peer, socket);
    await lab.nic.addUplink({ name: 'up', type: 'dgram', socket, peer });
    const state = () => lab.nic.uplink('up').state;
    await waitUntil(() => state() === 'up', state);
    await attach();
    const farMac = '02:00:00:00:ff:01';
    const incoming = plainFrame({ to: lab.mac(RECEIVER), from: farMac }, 1000);
    far.send(incoming);
    const outgoing = plainFrame({ to: farMac, from: lab.mac(SENDER) }, 1000);
    writeFrame(sender.queues.ring(1) as SplitQueue, 0, outgoing);
    const taken = await work(() => {
      offer(1, [0]);
      for (let i = 0; i < 32; i++) if (!far.send(incoming)) break;
    });
    far.close();
    expectComplete(taken);
  });
});
