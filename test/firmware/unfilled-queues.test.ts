import { afterEach, describe, expect, it } from 'vitest';
import { BROADCAST, readUdpTag, udpFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const PAIRS = 4;
const FLOWS = 64;

// A guest with four queues, some of which its driver never fills.
describe.each([false, true])('receive queues, packed: %s', (packed) => {
  let wire: FirmwareWire;

  afterEach(() => wire.close());

  function start(...filled: readonly number[]): void {
    wire = new FirmwareWire([{ packed }, { packed, queuePairs: PAIRS }]);
    for (const pair of filled) fill(pair);
  }

  function fill(pair: number): void {
    const { receive } = wire.guest(1).pair(pair);
    receive.post();
    receive.ring.publish();
  }

  /** Sends a frame of each flow; returns the pair on which each arrived. */
  function spread(to = wire.mac(1)): Map<number, number> {
    for (let flow = 0; flow < FLOWS; flow++) {
      wire.send(0, udpFrame({ to, from: wire.mac(0), flow, sequence: 0, seed: flow, length: 100 }));
    }
    wire.run();
    const pairs = new Map<number, number>();
    for (const [pair, { receive }] of wire.guest(1).pairs.entries()) {
      for (let frame = receive.take(); frame !== null; frame = receive.take()) {
        pairs.set(readUdpTag(frame)?.flow ?? -1, pair);
      }
    }
    return pairs;
  }

  it('that were never filled get nothing, and no flow is lost', () => {
    start(0, 2);
    const pairs = spread();
    expect(pairs.size).toBe(FLOWS);
    expect(new Set(pairs.values())).toEqual(new Set([0, 2]));
    expect(wire.allDrops(1)).toEqual({});
  });

  it('that are filled later get their flows from then on, and other flows stay', () => {
    start(0, 2);
    const before = spread();
    fill(1);
    fill(3);
    const after = spread();
    expect(after.size).toBe(FLOWS);
    expect(new Set(after.values())).toEqual(new Set([0, 1, 2, 3]));
    const moved = [...after].filter(([flow, pair]) => before.get(flow) !== pair);
    expect(moved.length).toBeGreaterThan(0);
    for (const [, pair] of moved) expect([1, 3]).toContain(pair);
  });

  it('that were filled once keep their flows, and drop frames without room', () => {
    start(0, 1, 2, 3);
    const before = spread();
    const { receive } = wire.guest(1).pair(1);
    for (let i = 0; receive.ring.outstanding > 0; i++) {
      for (let flow = 0; flow < FLOWS; flow++) {
        const ends = { to: wire.mac(1), from: wire.mac(0) };
        wire.send(0, udpFrame({ ...ends, flow, sequence: i, seed: flow, length: 100 }));
      }
      wire.run();
      wire.received(1, { repost: false });
      for (const pair of [0, 2, 3]) fill(pair);
    }
    const after = spread();
    for (const [flow, pair] of after) expect(before.get(flow)).toBe(pair);
    expect([...after.values()]).not.toContain(1);
    expect(wire.drops(1, 'rx', 'ringFull')).toBeGreaterThan(0);
  });

  it('none of which was filled drop everything', () => {
    start();
    expect(spread().size).toBe(0);
    expect(wire.allDrops(1)).toEqual({ 'rx.ringFull': FLOWS });
  });

  it('are chosen the same way for broadcast frames', () => {
    start(3);
    const pairs = spread(BROADCAST);
    expect(pairs.size).toBe(FLOWS);
    expect(new Set(pairs.values())).toEqual(new Set([3]));
  });
});
