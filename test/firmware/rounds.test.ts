import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BATCH_MAX } from '../../layout/limits.ts';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const GUESTS = 10;
/** A guest with little traffic, whose ring is the last of a round. */
const QUIET = GUESTS - 1;
/** Batches of 60-byte frames that fill a turn: about 10 µs. */
const BATCHES = 3;

describe('a round of busy rings', () => {
  let wire: FirmwareWire;

  beforeEach(() => {
    const rings: GuestOptions = { queueSize: 512, slots: 300, indirectShare: 0, layout: 'shared' };
    // Without event indices, every batch causes an interrupt.
    const guest = { ...rings, features: [VIRTIO_F_VERSION_1] };
    wire = new FirmwareWire(Array.from({ length: GUESTS }, () => guest));
    wire.postAll();
    // Maps all windows, so that no turn ends because one is missing.
    for (let from = 0; from < GUESTS; from++) send(from, 290, 1500);
    wire.host.settle();
    for (let to = 0; to < GUESTS; to++) wire.received(to);
  });

  afterEach(() => wire.close());

  /** Sends to the neighbour with the next lower number. */
  function send(from: number, frames: number, length = 60): void {
    const to = wire.mac((from + GUESTS - 1) % GUESTS);
    for (let i = 0; i < frames; i++) {
      const isSent = wire.send(from, plainFrame({ to, from: wire.mac(from) }, length, i));
      if (!isSent) throw new Error('assertion: the ring is full');
    }
  }

  /** Frames that each guest has sent since the last call. */
  let before: number[] = [];
  function sent(): number[] {
    const now = wire.host.stats().vfs.map(({ tx }) => tx.packets);
    const since = now.map((count, vf) => count - (before[vf] ?? 0));
    before = now;
    return since;
  }

  function sendAll(length = 60): void {
    for (let from = 0; from < QUIET; from++) send(from, 290, length);
    sent();
  }

  it('takes several turns of a few batches, each of which continues after the previous one', () => {
    sendAll();
    const order: number[] = [];
    for (let turn = 0; turn < QUIET / BATCHES; turn++) {
      wire.host.turn();
      const counts = sent();
      const served = counts.flatMap((count, vf) => (count > 0 ? [vf] : []));
      expect(served.map((vf) => counts[vf])).toEqual([BATCH_MAX, BATCH_MAX, BATCH_MAX]);
      order.push(...served);
    }
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('serves a ring with little to send before the next part', () => {
    sendAll();
    wire.host.turn();
    expect(sent()[QUIET]).toBe(0);
    wire.host.signals.length = 0;
    send(QUIET, 1);
    wire.host.turn();
    expect(sent()[QUIET]).toBe(1);
    // Its receiver is interrupted now, not at the end of the round.
    expect(wire.host.signals).toContain(wire.host.ringNumber(QUIET - 1, 0));
    send(QUIET, 5);
    wire.host.turn();
    expect(sent()[QUIET]).toBe(5);
  });

  it.each([
    ['little', 30, [30, 1, 0, 0, 0, 10, 0, 0]],
    ['much', 33, [0, 0, 44, 0, 0, 0, 0, 0]],
  ])('gives no ring more than its share: %s', (_, frames, wanted) => {
    sendAll();
    wire.host.turn();
    sent();
    // The round reaches the ring in the third and sixth turn, unless it was served ahead.
    const turns = wanted.map((_, turn) => {
      if (turn === 0) send(QUIET, frames);
      if (turn === 1) send(QUIET, 1);
      if (turn === 2) send(QUIET, 10);
      wire.host.turn();
      return sent()[QUIET];
    });
    expect(turns).toEqual(wanted);
  });

  it('uses shorter batches of large frames after a sparse ring was served', () => {
    sendAll(1500);
    wire.host.turn();
    expect(sent()[0]).toBe(BATCH_MAX);
    send(QUIET, 1);
    wire.host.turn();
    wire.host.turn();
    const short = sent().filter((count) => count > 1);
    expect(Math.max(...short.slice(1))).toBeLessThanOrEqual(64);
    expect(Math.max(...short.slice(1))).toBeGreaterThan(32);
    wire.host.settle();
    for (let to = 0; to < GUESTS; to++) wire.received(to);
    sendAll(1500);
    wire.host.turn();
    expect(sent()[0]).toBe(BATCH_MAX);
  });

  it('forgets a detached ring, and continues with the others', () => {
    sendAll();
    wire.host.turn();
    sent();
    for (const vf of [0, 4, QUIET]) wire.host.firmware.detachRing(wire.host.ringNumber(vf, 1));
    for (let turn = 0; turn < 12; turn++) wire.host.turn();
    const counts = sent();
    expect([0, 4, QUIET].map((vf) => counts[vf])).toEqual([0, 0, 0]);
    for (const vf of [3, 5, 6, 7, 8]) expect(counts[vf]).toBe(290);
    for (const vf of [1, 2]) expect(counts[vf]).toBe(290 - BATCH_MAX);
  });
});
