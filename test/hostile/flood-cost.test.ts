import { afterEach, describe, expect, it } from 'vitest';
import {
  CHARGE_PART_MIN,
  COPY_COST,
  FLOOD_COST_MAX,
  SEGMENTS_PER_FRAME_MAX,
  TURN_NS,
  WALK_STEP_COST,
  WALK_STEPS_PER_BATCH,
  WALK_STEPS_PER_FRAME,
} from '../../layout/limits.ts';
import { VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE, RING_FLOOD_NEXT } from '../../layout/virtqueue.ts';
import type { VfStats } from '../../src/functions/net/types.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { ALL_FEATURES } from '../offload/feature-sets.ts';
import { OffloadWire } from '../offload/offload-wire.ts';
import { type Packet, superPacket } from '../offload/packets.ts';
import { assertBalanced } from '../support/assert-balanced.ts';

/**
 * While the clock stands, a batch is charged the least part of what it should cost. So the copies
 * of a turn are those of several batches, the last of which may go beyond the end of the turn …
 */
const SMALL_COPIES_MAX = (CHARGE_PART_MIN * TURN_NS + FLOOD_COST_MAX) / COPY_COST;
/** … by the segments of one most expensive frame. */
const COPIES_MAX = SMALL_COPIES_MAX + SEGMENTS_PER_FRAME_MAX;
const HOSTILE = 100;
/** Hostile receivers of whose flooded frames a batch has several. */
const FEW_HOSTILE = 8;
/** Descriptors of each buffer that a hostile receiver posts. */
const CHAIN = 1024;
/** The number of such buffers that the budget of a batch covers. */
const AFFORDABLE = WALK_STEPS_PER_BATCH / (CHAIN - WALK_STEPS_PER_FRAME);
/** … and that the batches of a turn cover while the clock stands. */
const AFFORDABLE_IN_TURN = (CHARGE_PART_MIN * TURN_NS) / (CHAIN * WALK_STEP_COST) + AFFORDABLE;

const memory = { regions: [{ guestAddress: 0, sizeBytes: 0x400000 }], gapBytesMax: 0 };
const slots = SEGMENTS_PER_FRAME_MAX;
const RECEIVER: GuestOptions = {
  ...{ memory, slots, queueSize: 4096, frameSizeMax: 128, canaries: false },
  ...{
    layout: 'shared',
    receiveLayout: 'shared',
    indirectShare: 0,
    features: [VIRTIO_F_VERSION_1],
  },
};
const SENDER: GuestOptions = {
  ...RECEIVER,
  features: ALL_FEATURES,
  frameSizeMax: 20_000,
  slots: 8,
};

describe('expensive broadcast frames', () => {
  let wire: OffloadWire;
  /** The counters once all windows are mapped. */
  let before: VfStats[] = [];

  afterEach(() => wire.close());

  function start(receivers: number, options: GuestOptions = {}): void {
    const receiver = { ...RECEIVER, ...options };
    const guests = Array.from({ length: receivers }, () => receiver);
    wire = new OffloadWire([SENDER, ...guests], { slotCount: 2 * receivers + 16 });
    wire.postAll();
    // Maps all windows, so that no turn ends early.
    const everybody = plainFrame({ to: BROADCAST, from: wire.mac(0) }, 60);
    for (let from = 0; from < 2; from++) wire.send(from, everybody);
    wire.run();
    for (let guest = 0; guest <= receivers; guest++) wire.received(guest);
    before = Array.from({ length: receivers + 1 }, (_, guest) => vfStats(guest));
  }

  function vfStats(guest: number): VfStats {
    const stats = wire.host.stats().vfs[guest];
    if (stats === undefined) throw new Error(`assertion: no guest ${guest}`);
    return stats;
  }

  const packetsOf = (guest: number) => vfStats(guest).rx.packets - (before[guest]?.rx.packets ?? 0);

  function offered(): number {
    return wire.host.stats().vfs.reduce((sum, { rx }) => sum + rx.offered, 0);
  }

  /** Takes turns until nothing is left; returns the number of copies in each turn. */
  function copiesOfTurns(): number[] {
    const copies: number[] = [];
    for (let idle = 0, sum = offered(); idle < 3; ) {
      wire.host.turn();
      const made = offered() - sum;
      sum += made;
      idle = made === 0 ? idle + 1 : 0;
      if (made !== 0) copies.push(made);
    }
    return copies;
  }

  /** A super-frame of the smallest segments. */
  function dearest(to = BROADCAST): Packet {
    const shape = { version: 4, transport: 'tcp', payloadLength: 8 * 2000 } as const;
    return superPacket({ ...shape, to, from: wire.mac(0) }, 8);
  }

  /** Sends a super-frame, and takes turns until some ports have it. Returns the next port. */
  function floodSome(to?: string): number {
    wire.sendPacket(0, dearest(to));
    while (nextOf() === 0) wire.host.turn();
    return nextOf();
  }

  const nextOf = () => wire.host.ringWord(0, 1, RING_FLOOD_NEXT);

  it('are sent to many ports in short turns if they are small', () => {
    const receivers = 100;
    start(receivers, { slots: 128, queueSize: 128 });
    const frames = Array.from({ length: 128 }, (_, i) =>
      plainFrame({ to: BROADCAST, from: wire.mac(1) }, 60, i),
    );
    for (const frame of frames) wire.send(1, frame);
    const copies = copiesOfTurns();
    expect(Math.max(...copies)).toBeLessThanOrEqual(SMALL_COPIES_MAX);
    for (const guest of [2, receivers]) expect(wire.received(guest)).toEqual(frames);
    wire.run();
    expect(vfStats(1).tx).toMatchObject({ packets: 129, forwarded: 129 });
  });

  it('are sent to some ports at a time if they are super-frames, and all get them once', () => {
    const receivers = 12;
    start(receivers);
    wire.sendPacket(0, dearest());
    const copies = copiesOfTurns();
    expect(copies.length).toBeGreaterThan(3);
    expect(Math.max(...copies)).toBeLessThanOrEqual(COPIES_MAX);
    const first = wire.received(1);
    expect(first.length).toBe(2000);
    for (let guest = 2; guest <= receivers; guest++) {
      const frames = wire.received(guest);
      expect(frames.length).toBe(2000);
      expect(Buffer.compare(Buffer.concat(frames), Buffer.concat(first))).toBe(0);
    }
    wire.run();
    const { forwarded, replicas } = vfStats(0).tx;
    expect({ forwarded, replicas }).toEqual({ forwarded: 2, replicas: 2 * (receivers - 1) });
    expect(nextOf()).toBe(0);
  });

  it('let other rings have their turn in between', () => {
    start(12);
    floodSome();
    const frame = plainFrame({ to: wire.mac(12), from: wire.mac(11) }, 60, 5);
    wire.send(11, frame);
    let arrived = wire.received(12);
    while (arrived.length === 0 && nextOf() !== 0) {
      wire.host.turn();
      arrived = wire.received(12);
    }
    expect(arrived).toEqual([frame]);
    expect(nextOf(), 'the flood is not over').not.toBe(0);
    wire.run();
    expect(wire.received(12).length).toBe(2000);
  });

  it('are not affected by ports that are added and removed in the meantime', () => {
    start(12);
    const { firmware } = wire.host;
    firmware.setPort(4, 0);
    const next = floodSome();
    expect(next).toBeGreaterThan(1);
    firmware.setPort(1, 0); // it has received the frame
    firmware.setPort(12, 0); // it has not, and never will
    firmware.setPort(4, 1);
    wire.run();
    for (let guest = 1; guest <= 12; guest++) {
      const isLeftOut = guest === 12 || (guest === 4 && next > 4);
      expect(wire.received(guest).length, `guest ${guest}`).toBe(isLeftOut ? 0 : 2000);
    }
  });

  it('reach a destination exactly once if it is learned in the meantime', () => {
    start(12);
    const stranger = '02:aa:00:00:00:01';
    const next = floodSome(stranger);
    wire.send(1, plainFrame({ to: wire.mac(0), from: stranger }, 60));
    wire.run();
    expect(next).toBeGreaterThan(1);
    for (let guest = 1; guest <= 12; guest++) expect(wire.received(guest).length).toBe(2000);
  });

  it.each([
    ['is for one receiver', 0, 0],
    ['comes from a group address', 6, 1],
  ])('leave counters balanced if the sender rewrites one, so that it %s', (_, offset, drops) => {
    start(12);
    floodSome();
    const { memory: sent, pairs } = wire.guest(0);
    const head = Buffer.from(sent.bytes.buffer).indexOf(Buffer.from('ffffffffffff', 'hex'));
    const address = offset === 0 ? wire.mac(3) : BROADCAST;
    sent.bytes.set(Buffer.from(address.replaceAll(':', ''), 'hex'), head + offset);
    wire.run(); // throws if it is unbalanced
    expect(wire.drops(0, 'tx', 'sourceAddress')).toBe(drops);
    expect(pairs[0]?.transmit.outstanding).toBe(0);
  });

  it('leave nothing behind if their ring stops in the meantime', () => {
    start(12);
    floodSome();
    wire.host.firmware.detachRing(wire.host.ringNumber(0, 1));
    assertBalanced(wire.host.stats());
  });

  /** Starts hostile receivers and, after them, an honest one. Returns its number. */
  function startEndless(hostile: number, packed: boolean, frames: number): number {
    const features = packed ? [VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED] : [VIRTIO_F_VERSION_1];
    start(hostile, { packed, features, queueSize: CHAIN, slots: 0 });
    for (let guest = 1; guest <= hostile; guest++) postEndless(guest, packed, frames);
    const honest = wire.addGuest({ ...RECEIVER, slots: 8 });
    wire.post(honest);
    for (let i = 0; i < frames; i++) {
      wire.send(0, plainFrame({ to: BROADCAST, from: wire.mac(0) }, 60));
    }
    return honest;
  }

  it.each([false, true])(
    'walk the endless chains of only some receivers at a time, packed: %s',
    (packed) => {
      const honest = startEndless(HOSTILE, packed, 1);
      wire.run(); // maps the windows onto the buffers
      for (let guest = 1; guest <= HOSTILE; guest++) postEndless(guest, packed, 1);
      wire.send(0, plainFrame({ to: BROADCAST, from: wire.mac(0) }, 60));
      expect(Math.max(...copiesOfTurns())).toBeLessThanOrEqual(Math.ceil(AFFORDABLE_IN_TURN));
      for (let guest = 1; guest <= honest; guest++) expect(packetsOf(guest)).toBe(2);
    },
  );

  it('walk only as many endless chains as the budget of a batch covers', () => {
    const honest = startEndless(FEW_HOSTILE, false, 2);
    wire.run();
    let delivered = 0;
    for (let guest = 1; guest < honest; guest++) delivered += packetsOf(guest);
    expect(delivered).toBeGreaterThan(AFFORDABLE / 3);
    expect(delivered).toBeLessThanOrEqual(Math.ceil(AFFORDABLE));
    expect(wire.drops(FEW_HOSTILE, 'rx', 'chainLength')).toBe(2);
    expect(wire.received(honest).length).toBe(2);
  });

  /** Buffers whose first descriptors are empty. */
  function postEndless(guest: number, packed: boolean, buffers: number): void {
    const buffer = wire.guest(guest).memory.allocate(2048);
    const fields = (i: number) => ({
      address: BigInt(buffer.address),
      length: i < CHAIN - 1 ? 0 : 2048,
      flags: DESCRIPTOR_F_WRITE | (i < CHAIN - 1 ? DESCRIPTOR_F_NEXT : 0),
    });
    if (packed) {
      const descriptors = Array.from({ length: CHAIN }, (_, i) => ({ ...fields(i), id: 0 }));
      wire
        .guest(guest)
        .packedRing(0)
        .offerRaw(...descriptors);
      return;
    }
    const ring = wire.guest(guest).ring(0);
    for (let i = 0; i < CHAIN; i++) ring.writeDescriptor(i, { ...fields(i), next: i + 1 });
    ring.offerRaw(0, buffers);
    ring.publish();
  }
});
