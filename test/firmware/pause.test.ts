import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COUNTER_PACKETS } from '../../layout/counters.ts';
import { PAUSE_NS } from '../../layout/limits.ts';
import { TURN_BUSY, TURN_UNFINISHED } from '../../layout/processor.ts';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

/** What a turn takes on the fake clock. */
const TURN_NS = 150;
/** Turns of a steady stream until its pace is known. */
const TURNS_TO_LEARN = 200;
const STREAM_INTERVAL_NS = 100;
/** Between two frames of a guest that has little to send. */
const TURNS_APART = 20;
const QUEUE_SIZE = 512;
const SENDERS = 3;
const SINK = SENDERS;

describe('pauses between looks', () => {
  let wire: FirmwareWire;
  /** Of the stream of guest 0: when its next frame is due. */
  let due: number;

  beforeEach(() => {
    const guest = { queueSize: QUEUE_SIZE, slots: 300, layout: 'shared' as const };
    const plain = { ...guest, indirectShare: 0, features: [VIRTIO_F_VERSION_1] };
    wire = new FirmwareWire(Array.from({ length: SENDERS + 1 }, () => plain));
    wire.postAll();
    wire.host.nanosecondsPerLook = 0; // the test says what time it is
    // Maps all windows.
    for (let from = 0; from < SENDERS; from++) for (let i = 0; i < 300; i++) send(from);
    wire.host.run();
    wire.received(SINK);
    wire.host.pass(1e9);
    due = wire.host.nanoseconds;
  });

  afterEach(() => wire.close());

  function send(from: number, to = SINK): void {
    const addresses = { to: wire.mac(to), from: wire.mac(from) };
    expect(wire.send(from, plainFrame(addresses, 60, from))).toBe(true);
  }

  /** One turn. Returns how many frames of a guest it took. */
  function turn(from: number): number {
    const before = wire.host.counter(from, 1, COUNTER_PACKETS);
    wire.host.nanoseconds += TURN_NS;
    wire.host.turn();
    wire.received(SINK);
    return wire.host.counter(from, 1, COUNTER_PACKETS) - before;
  }

  /** Turns during a stream of guest 0. Returns the frames that each took. */
  function stream(turns: number): number[] {
    return Array.from({ length: turns }, () => {
      for (; due <= wire.host.nanoseconds; due += STREAM_INTERVAL_NS) send(0);
      return turn(0);
    });
  }

  /** Nanoseconds until a frame that guest 0 sends now is taken. */
  function delay(): number {
    const sent = wire.host.nanoseconds;
    send(0);
    while (turn(0) === 0) if (wire.host.nanoseconds > sent + 1e6) throw new Error('forgotten');
    return wire.host.nanoseconds - sent;
  }

  it('takes a steady stream in batches, none of which waits longer than a pause', () => {
    stream(TURNS_TO_LEARN);
    const batches = stream(2000).filter((frames) => frames > 0);
    const most = (PAUSE_NS + 2 * TURN_NS) / STREAM_INTERVAL_NS;
    expect(Math.max(...batches)).toBeLessThanOrEqual(most);
    expect(Math.min(...batches)).toBeGreaterThanOrEqual(PAUSE_NS / STREAM_INTERVAL_NS);
  });

  it('looks all the time at guests that wait for answers', () => {
    for (let trip = 0; trip < 500; trip++) {
      send(0, 1);
      expect(turn(0)).toBe(1);
      wire.received(1);
      turn(0); // the guest's reaction
      send(1, 0);
      expect(turn(1)).toBe(1);
      wire.received(0);
      turn(0);
    }
  });

  it('forgets the pace of a stream after some single frames', () => {
    stream(TURNS_TO_LEARN);
    while (turn(0) !== 0);
    const delays = Array.from({ length: 8 }, () => {
      const taken = delay();
      for (let turns = 0; turns < TURNS_APART; turns++) turn(0);
      return taken;
    });
    expect(Math.max(...delays)).toBeLessThanOrEqual(PAUSE_NS + TURN_NS);
    expect(delays.at(-1)).toBe(TURN_NS);
  });

  it('serves others while it waits for a stream', () => {
    stream(TURNS_TO_LEARN);
    for (let trip = 0; trip < 100; trip++) {
      stream(TURNS_APART);
      send(1);
      expect(turn(1)).toBe(1);
    }
  });

  it('does not count as idle during a pause, and misses no frame if it sleeps then', () => {
    stream(TURNS_TO_LEARN);
    while (stream(1)[0] === 0);
    expect(wire.host.turn() & TURN_BUSY).toBe(TURN_UNFINISHED);
    expect(wire.host.firmware.arm()).toBe(0);
    wire.host.firmware.disarm();
    send(0);
    expect(wire.host.firmware.arm()).not.toBe(0);
    wire.host.firmware.disarm();
    wire.host.nanoseconds += PAUSE_NS;
    expect(turn(0)).toBe(1);
    wire.host.nanoseconds += PAUSE_NS;
    wire.host.turn();
    expect(wire.host.turn() & TURN_BUSY).toBe(0);
  });
});
