import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REQUEST_LIST_BASE, RING_VIEWS_BASE } from '../../layout/memory.ts';
import {
  REGISTER_REQUEST_COUNT,
  REGISTER_WORK_COUNT,
  TURN_IDLE,
  TURN_SIGNALS,
} from '../../layout/processor.ts';
import {
  RING_ENABLED,
  RING_KIND_REQUEST,
  RING_LAST_AVAIL,
  RING_VIEW_AVAIL,
  RING_VIEW_DESCRIPTORS,
  RING_VIEW_SIZE,
  RING_VIEW_USED,
} from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

// How a turn handles a ring depends on its kind. Guest 0 sends frames; the second queue of guest 1
// is attached as a ring of requests.

const ASKING = 1;
const QUEUE = 1;

describe.each([
  { format: 'split', packed: false },
  { format: 'packed', packed: true },
])('a ring of requests, $format', ({ packed }) => {
  let wire: FirmwareWire;
  let ring: number;

  beforeEach(() => {
    wire = new FirmwareWire([{ packed }, { packed }, { packed }]);
    wire.postAll();
    wire.host.settle();
    ring = wire.host.ringNumber(ASKING, QUEUE);
    const view = RING_VIEWS_BASE + ring * RING_VIEW_SIZE;
    const parts = [RING_VIEW_DESCRIPTORS, RING_VIEW_AVAIL, RING_VIEW_USED] as const;
    const [descriptors, avail, used] = parts.map((part) =>
      wire.host.view.getUint32(view + part, true),
    ) as [number, number, number];
    const { firmware } = wire.host;
    firmware.detachRing(ring);
    firmware.attachRing(ring, descriptors, avail, used, RING_ENABLED, RING_KIND_REQUEST);
  });

  afterEach(() => wire.close());

  /** The rings on which turns have found a request since the last call. */
  function takeNoticed(): number[] {
    const { host } = wire;
    const count = host.register(REGISTER_REQUEST_COUNT);
    host.setRegister(REGISTER_REQUEST_COUNT, 0);
    return Array.from({ length: count }, (_, place) =>
      host.view.getUint32(REQUEST_LIST_BASE + place * 4, true),
    );
  }

  /** Puts a chain on the ring. True if the driver has to kick. */
  function ask(): boolean {
    const { transmit } = wire.guest(ASKING).pair(0);
    transmit.trySend(plainFrame({ to: wire.mac(0), from: wire.mac(ASKING) }, 100));
    return transmit.ring.publish();
  }

  function turn(): number {
    return wire.host.firmware.turn(2);
  }

  it('is not in the work list while it is idle, and asks its guest to kick', () => {
    expect(wire.host.register(REGISTER_WORK_COUNT)).toBe(3);
    expect(turn()).toBe(TURN_IDLE);
    expect(wire.host.register(REGISTER_WORK_COUNT)).toBe(2);
    expect(ask()).toBe(true);
    expect(turn(), 'without a kick').toBe(TURN_IDLE);
    wire.host.firmware.unparkRings(ring, 1);
    expect(turn() & TURN_SIGNALS).not.toBe(0);
    expect(takeNoticed()).toEqual([ring]);
  });

  it('is reported to the host once, and not changed', () => {
    ask();
    ask();
    const before = wire.host.ringWord(ASKING, QUEUE, RING_LAST_AVAIL);
    turn();
    turn();
    expect(takeNoticed()).toEqual([ring]);
    expect(wire.host.ringWord(ASKING, QUEUE, RING_LAST_AVAIL)).toBe(before);
    expect(wire.host.stats().vfs[ASKING]?.tx.packets).toBe(0);
    wire.host.firmware.unparkRings(ring, 1);
    turn();
    expect(takeNoticed(), 'when it is checked again').toEqual([ring]);
  });

  it('is checked before sleep, like all rings of the list', () => {
    turn();
    ask();
    expect(wire.host.firmware.arm(), 'it is parked').toBe(0);
    wire.host.firmware.unparkRings(ring, 1);
    expect(wire.host.firmware.arm()).not.toBe(0);
  });

  it('does not prevent others from sending', () => {
    ask();
    const frame = plainFrame({ to: wire.mac(2), from: wire.mac(0) }, 100);
    for (let i = 0; i < 20; i++) {
      wire.send(0, frame);
      wire.host.run();
      wire.host.firmware.unparkRings(ring, 1);
      expect(wire.received(2)).toHaveLength(1);
      takeNoticed();
    }
  });
});
