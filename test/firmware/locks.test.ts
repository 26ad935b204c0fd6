import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SHARED_BASE, SHARED_RINGS } from '../../layout/memory.ts';
import { TURN_LOCKED, TURN_SIGNALS, TURN_WORKED } from '../../layout/processor.ts';
import {
  RING_FAULTED,
  RING_LOCK,
  RING_RECORD_SIZE,
  RING_STATE,
  RING_STOPPED,
} from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const OTHER_PROCESSOR = 2;
const FREE = 0;
const RECEIVE = 0;

let wire: FirmwareWire;
let frame: Uint8Array;

beforeEach(() => {
  wire = new FirmwareWire([{}, { seed: 2 }]);
  wire.host.firmware.configure(0, 2, 300);
  wire.postAll();
  frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 100);
  wire.send(0, frame); // maps its windows
  wire.run();
  wire.received(1);
  wire.guest(1).queue(RECEIVE).armCall();
  wire.host.signals.length = 0;
  wire.send(0, frame);
});

afterEach(() => wire.close());

/** Writes a word of the record of a guest's receive ring, as another processor would. */
function write(guest: number, field: number, value: number): void {
  const ring = wire.host.ringNumber(guest, RECEIVE);
  const at = SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE + field;
  wire.host.view.setUint32(at, value, true);
}

describe('a receive ring that another processor holds', () => {
  it('does not block: the turn ends, and the next one continues with the same frame', () => {
    write(1, RING_LOCK, OTHER_PROCESSOR);
    expect(wire.host.turn()).toBe(TURN_WORKED | TURN_LOCKED);
    expect(wire.host.turn()).toBe(TURN_WORKED | TURN_LOCKED);
    expect(wire.received(1)).toEqual([]);
    write(1, RING_LOCK, FREE);
    wire.run();
    expect(wire.received(1).map((one) => Buffer.from(one).equals(frame))).toEqual([true]);
    expect(wire.host.ringWord(1, RECEIVE, RING_LOCK)).toBe(FREE);
    expect(wire.allDrops(0)).toEqual({});
    expect(wire.allDrops(1)).toEqual({});
  });

  it('keeps its interrupt until it is released', () => {
    const signals = () => wire.host.signals.filter((ring) => ring === wire.host.ringNumber(1, 0));
    const held = wire.host.turn(0); // no interrupt yet
    expect(held & TURN_SIGNALS).toBe(0);
    write(1, RING_LOCK, OTHER_PROCESSOR);
    wire.host.turn();
    expect(signals()).toHaveLength(0);
    write(1, RING_LOCK, FREE);
    wire.host.turn();
    expect(signals()).toHaveLength(1);
  });

  it.each([
    ['a fault', RING_FAULTED],
    ['its front-end', RING_STOPPED],
  ])('and that %s has stopped in the meantime is not touched', (_, state) => {
    write(1, RING_STATE, state);
    wire.run();
    expect(wire.received(1)).toEqual([]);
    expect(wire.allDrops(1)).toEqual({ 'rx.ringStopped': 1 });
    expect(wire.host.ringWord(1, RECEIVE, RING_LOCK)).toBe(FREE);
  });
});
