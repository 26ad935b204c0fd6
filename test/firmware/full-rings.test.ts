import { afterEach, describe, expect, it } from 'vitest';
import { COUNTER_PACKETS } from '../../layout/counters.ts';
import { PATIENCE_NS } from '../../layout/limits.ts';
import { PORT_IS_UPLINK } from '../../layout/port.ts';
import { VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { RING_DISABLED, RING_ENABLED } from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const SLOTS = 64;
const LENGTH = 256;

describe('a receive ring without buffers', () => {
  let wire: FirmwareWire;

  afterEach(() => wire.close());

  /** `idle`: those that post no buffers. */
  function start(guests: number, idle: readonly number[], packed = false, queuePairs = 1): void {
    const features = packed ? [VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED] : [VIRTIO_F_VERSION_1];
    const queues = { queueSize: SLOTS, slots: SLOTS, queuePairs };
    const rings = { ...queues, features, packed, indirectShare: 0 };
    const options = { ...rings, layout: 'shared', receiveLayout: 'shared' } as const;
    wire = new FirmwareWire(Array.from({ length: guests }, () => options));
    wire.host.nanosecondsPerLook = 500;
    for (let guest = 0; guest < guests; guest++) if (!idle.includes(guest)) wire.post(guest);
  }

  function frame(from: number, to: number): Uint8Array {
    return plainFrame({ to: wire.mac(to), from: wire.mac(from) }, LENGTH, from);
  }

  const receivedBy = (guest: number) => wire.host.counter(guest, 0, COUNTER_PACKETS);
  const droppedAt = (guest: number) => wire.drops(guest, 'rx', 'ringFull');

  /** A turn, and a sleep if there is nothing to do before the next alarm. */
  function turn(): void {
    const before = wire.host.nanoseconds;
    wire.host.turn();
    const wake = wire.host.firmware.wakeMicroseconds();
    if (wake > 0 && wire.host.nanoseconds - before < 2000) wire.host.pass(wake * 1000);
  }

  it.each([false, true])('makes a frame wait until it has some, packed: %s', (packed) => {
    start(2, [1], packed);
    wire.send(0, frame(0, 1));
    for (let i = 0; i < 4; i++) wire.host.turn();
    expect([receivedBy(1), droppedAt(1)]).toEqual([0, 0]);
    expect(wire.host.firmware.wakeMicroseconds()).toBeGreaterThanOrEqual(0);
    wire.host.pass(200_000);
    wire.post(1);
    wire.run();
    expect([receivedBy(1), droppedAt(1)]).toEqual([1, 0]);
  });

  it.each([false, true])('gets as many frames as it has buffers, packed: %s', (packed) => {
    start(2, [1], packed);
    wire.post(1, 5);
    for (let i = 0; i < 20; i++) wire.send(0, frame(0, 1));
    wire.host.work();
    expect([receivedBy(1), droppedAt(1)]).toEqual([5, 0]);
    wire.post(1);
    wire.host.pass(100_000);
    wire.run();
    expect([receivedBy(1), droppedAt(1)]).toEqual([20, 0]);
  });

  it('makes a frame wait for a millisecond at most', () => {
    start(2, [1]);
    const started = wire.host.nanoseconds;
    wire.send(0, frame(0, 1));
    while (droppedAt(1) === 0) turn();
    const waited = wire.host.nanoseconds - started;
    expect(waited).toBeGreaterThan(PATIENCE_NS / 2);
    expect(waited).toBeLessThan(1.2 * PATIENCE_NS);
    wire.run();
  });

  it('is waited for again soon, however many rings have waited for it', () => {
    start(2, [1], false, 4);
    for (let pair = 0; pair < 4; pair++) wire.send(0, frame(0, 1), undefined, pair);
    while (droppedAt(1) < 4) turn();
    wire.host.pass(250e6);
    const before = droppedAt(1);
    wire.send(0, frame(0, 1));
    for (let i = 0; i < 4; i++) wire.host.turn();
    wire.post(1);
    wire.run();
    expect(droppedAt(1)).toBe(before);
  });

  it('does not make an uplink wait', () => {
    start(2, [1]);
    wire.host.view.setUint32(wire.host.portRecord(0) + PORT_IS_UPLINK, 1, true);
    for (let i = 0; i < 10; i++) wire.send(0, frame(0, 1));
    for (let i = 0; i < 4; i++) wire.host.turn();
    expect(droppedAt(1)).toBe(10);
  });

  /** What `to` receives in 5 ms while `senders` send to it, and to `others` by turns. */
  function receivedDuring(senders: readonly number[], to: number, others: readonly number[]) {
    const before = receivedBy(to);
    const started = wire.host.nanoseconds;
    for (let i = 0; wire.host.nanoseconds - started < 5e6; i++) {
      for (const from of senders) {
        for (let sent = 0; sent < SLOTS; sent++) {
          const other = others[(i + sent) % others.length] ?? to;
          if (!wire.send(from, frame(from, sent % 2 === 1 ? other : to))) break;
        }
      }
      turn();
      wire.received(to);
    }
    return receivedBy(to) - before;
  }

  /** How much `to` receives, against what it would if the others dropped their frames at once. */
  function partOf(senders: readonly number[], to: number, others: readonly number[]): number {
    const set = (state: number) => {
      for (const other of others) {
        wire.host.firmware.setRingState(wire.host.ringNumber(other, 0), state);
      }
    };
    set(RING_DISABLED);
    const alone = receivedDuring(senders, to, others);
    set(RING_ENABLED);
    receivedDuring(senders, to, others); // what was kept of their patience is spent
    return receivedDuring(senders, to, others) / alone;
  }

  it('costs who also sends to others little, if 64 take nothing', () => {
    const closed = Array.from({ length: 64 }, (_, i) => 2 + i);
    start(66, closed);
    expect(partOf([0], 1, closed)).toBeGreaterThan(0.98);
  });

  it('costs those that send to it and to each other little', () => {
    start(6, [5]);
    expect(partOf([0, 1, 2, 3], 4, [5])).toBeGreaterThan(0.98);
  });
});
