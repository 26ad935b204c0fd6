import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { BATCH_MAX } from '../../layout/limits.ts';
import {
  REGISTERS_BASE,
  SLOT_SIZE,
  WINDOW_ENTRY_SIZE,
  WINDOW_KEY,
  WINDOW_TABLE_BASE,
  WINDOW_TABLE_COUNT,
} from '../../layout/memory.ts';
import {
  EXHAUSTED_FOR_FUNCTION,
  INTERRUPT_ALL,
  REGISTER_EXHAUSTED,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
  TURN_MISSED,
} from '../../layout/processor.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { FirmwareHost } from '../support/firmware-host.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

interface Window {
  key: bigint;
  low: number;
  size: number;
}

/** The window table in the firmware's memory: slot by key, read entry by entry. */
function tableOf(host: FirmwareHost): Map<number, Window> {
  const table = new Map<number, Window>();
  for (let index = 0; index < WINDOW_TABLE_COUNT; index++) {
    const at = WINDOW_TABLE_BASE + index * WINDOW_ENTRY_SIZE;
    const key = host.view.getBigUint64(at + WINDOW_KEY, true);
    if (key === 0n) continue;
    const slot = host.view.getUint32(at + 20, true);
    expect(table.has(slot)).toBe(false);
    const low = host.view.getUint32(at + 8, true);
    table.set(slot, { key, low, size: host.view.getUint32(at + 12, true) });
  }
  return table;
}

/** Whether a probe from the key's home reaches its entry before a free one. */
function isReachable(host: FirmwareHost, window: Window, slot: number): boolean {
  let index = Number(BigInt.asUintN(64, window.key * 0x9e3779b97f4a7c15n) >> 53n);
  for (;;) {
    const at = WINDOW_TABLE_BASE + index * WINDOW_ENTRY_SIZE;
    const key = host.view.getBigUint64(at, true);
    if (key === 0n) return false;
    if (key === window.key && host.view.getUint32(at + 20, true) === slot) return true;
    index = (index + 1) % WINDOW_TABLE_COUNT;
  }
}

describe('the window table', () => {
  it('behaves like a map, for each sequence of insertions and removals', () => {
    const slots = 891;
    const step = fc.record({
      slot: fc.nat(slots - 1),
      vf: fc.nat(3),
      // Few chunks, so that keys collide. A chunk with two regions has several windows.
      chunk: fc.nat(40),
      part: fc.nat(3),
    });
    const host = new FirmwareHost({ slotCount: 1 });
    const property = fc.property(fc.array(step, { maxLength: 2000 }), (steps) => {
      const model = new Map<number, Window>();
      for (const { slot, vf, chunk, part } of steps) {
        const size = SLOT_SIZE / 4;
        const key = ((BigInt(vf) + 1n) << 48n) | BigInt(chunk);
        const isTaken = [...model.values()].some((w) => w.key === key && w.low === part * size);
        if (model.delete(slot)) {
          host.firmware.removeWindow(slot);
        } else if (!isTaken) {
          host.firmware.insertWindow(key, part * size, size, 0x30000000, slot);
          model.set(slot, { key, low: part * size, size });
        }
      }
      expect(tableOf(host)).toEqual(model);
      for (const [slot, window] of model) expect(isReachable(host, window, slot)).toBe(true);
      for (const slot of model.keys()) host.firmware.removeWindow(slot);
      expect(tableOf(host).size).toBe(0);
    });
    fc.assert(property, { numRuns: 60 });
  });
});

describe('missing windows', () => {
  let wire: FirmwareWire | undefined;

  afterEach(() => {
    wire?.close();
    wire = undefined;
  });

  /**
   * Four regions of 64 MiB with holes between them, with randomly placed buffers, enough for a
   * batch.
   */
  const scattered: GuestOptions = {
    ...{ queueSize: 1024, slots: 600 },
    memory: {
      sparse: true,
      regions: [0, 1, 2, 3].map((n) => ({ guestAddress: n * 0x10000000, sizeBytes: 0x4000000 })),
    },
  };

  function exchangeBatches(
    connected: FirmwareWire,
    rounds: number,
    lengthOf: (i: number) => number,
  ) {
    for (let round = 0; round < rounds; round++) {
      const frames: Uint8Array[] = [];
      for (let i = 0; i < BATCH_MAX; i++) {
        const to = i % 5 === 4 ? BROADCAST : connected.mac(1);
        const frame = plainFrame({ to, from: connected.mac(0) }, lengthOf(i), round * 100 + i);
        if (connected.send(0, frame)) frames.push(frame);
      }
      connected.run();
      const received = connected.received(1);
      // Flooded frames of a batch come after its other frames. Each kind keeps its order.
      for (const isFlooded of [true, false]) {
        const sameKind = (frame: Uint8Array): boolean => (frame[0] === 0xff) === isFlooded;
        const expected = Buffer.concat(frames.filter(sameKind));
        expect(Buffer.concat(received.filter(sameKind)).equals(expected)).toBe(true);
      }
    }
    expect(connected.allDrops(0)).toEqual({});
    expect(connected.allDrops(1)).toEqual({});
  }

  it('lose, duplicate and corrupt no frame, neither during inhale nor during delivery', () => {
    wire = new FirmwareWire([scattered, { ...scattered, bufferBytesMin: 100 }], { slotCount: 400 });
    wire.postAll();
    exchangeBatches(wire, 20, (i) => 60 + (i % 64) * 20);
    expect(wire.host.misses).toBeGreaterThan(60);
  });

  it('are mapped again if there are few slots, and frames stay intact in spite of evictions', () => {
    const guest = { ...scattered, indirectShare: 0.3 };
    wire = new FirmwareWire([guest, { ...guest, seed: 5 }], { slotCount: 80 });
    wire.postAll();
    exchangeBatches(wire, 20, (i) => 60 + (i % 64) * 20);
    expect(wire.host.evictions).toBeGreaterThan(100);
  });

  it('allow progress with one slot if a frame needs no more', () => {
    const plain = { indirectShare: 0, layout: 'shared', slots: 8 } as const;
    const memory = { regions: [{ guestAddress: 0, sizeBytes: 0x400000 }] };
    wire = new FirmwareWire(
      [
        { ...plain, memory },
        { ...plain, memory },
      ],
      { slotCount: 2 },
    );
    wire.postAll();
    exchangeBatches(wire, 4, () => 500);
  });

  it('are requested one at a time, and only by the ring that needs them', () => {
    // One ring misses at its first frame; another ring is stopped.
    wire = new FirmwareWire([scattered, scattered]);
    wire.postAll();
    wire.host.firmware.detachRing(wire.host.ringNumber(1, 1));
    wire.host.attach(1, 1, 0);
    wire.send(0, plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 60));
    const asked: bigint[] = [];
    for (let i = 0; i < 20; i++) {
      const flags = wire.host.firmware.turn(INTERRUPT_ALL);
      if ((flags & TURN_MISSED) === 0) continue;
      asked.push(wire.host.view.getBigUint64(REGISTERS_BASE + REGISTER_MISS_ADDRESS, true));
      wire.host.mapMissing();
    }
    expect(new Set(asked).size).toBe(asked.length);
    expect(wire.received(1).length).toBe(1);
  });

  it('do not limit how many guests one batch can reach', () => {
    // 16 frames, each in its own window, to 11 guests whose buffers are scattered too.
    const guests = Array.from({ length: 12 }, (_, index) => ({ ...scattered, seed: index + 1 }));
    const options = guests.map((guest) => ({ ...guest, layout: 'shared' as const, slots: 32 }));
    wire = new FirmwareWire(options, { slotCount: 100 });
    wire.postAll();
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 16; i++) {
        const frame = plainFrame({ to: BROADCAST, from: wire.mac(0) }, 100 + i, round);
        expect(wire.send(0, frame)).toBe(true);
      }
      wire.run();
      for (let number = 1; number < 12; number++) expect(wire.received(number).length).toBe(16);
    }
    for (let number = 0; number < 12; number++) expect(wire.allDrops(number)).toEqual({});
    expect(wire.host.evictions).toBeGreaterThan(100);
  });

  it('end in a counted drop if no region covers the address', () => {
    wire = new FirmwareWire([{}, {}]);
    wire.postAll();
    const ring = wire.guest(0).ring(1);
    ring.writeDescriptor(0, { address: 0x7777_0000_0000n, length: 100, flags: 0 });
    ring.offerRaw(0, 3);
    ring.publish();
    wire.host.run();
    expect(wire.allDrops(0)).toEqual({ 'tx.bufferAddress': 3 });
    expect(wire.host.misses).toBe(1);
  });

  it('end in a counted drop if one frame needs more windows than there are', () => {
    // 16 pieces in 16 windows, with 8 slots.
    const regions = [{ guestAddress: 0, sizeBytes: 0x8000000 }];
    wire = new FirmwareWire([{ memory: { regions } }, {}], { slotCount: 8 });
    wire.postAll();
    const ring = wire.guest(0).ring(1);
    for (let i = 0; i < 16; i++) {
      const address = BigInt(i + 4) * BigInt(SLOT_SIZE);
      ring.writeDescriptor(i, { address, length: 32, flags: i < 15 ? 1 : 0, next: i + 1 });
    }
    ring.offerRaw(0);
    ring.publish();
    wire.host.run();
    expect(wire.allDrops(0)).toEqual({ 'tx.windowExhausted': 1 });
    // Other rings are served as before.
    wire.post(0);
    wire.send(1, plainFrame({ to: wire.mac(0), from: wire.mac(1) }, 60));
    wire.host.run();
    expect(wire.received(0).length).toBe(1);
  });

  /** A frame of 32-byte pieces, each in its own window. */
  function spreadFrame(over: FirmwareWire, windows: number): void {
    const { memory } = over.guest(0);
    const ring = over.guest(0).ring(1);
    const frame = plainFrame({ to: over.mac(1), from: over.mac(0) }, windows * 32 - 12);
    const packet = Buffer.concat([new Uint8Array(12), frame]);
    for (let i = 0; i < windows; i++) {
      const { address, offset } = memory.spanAt((i + 4) * SLOT_SIZE, 32);
      memory.bytes.set(packet.subarray(i * 32, i * 32 + 32), offset);
      const flags = i < windows - 1 ? 1 : 0;
      ring.writeDescriptor(i, { address: BigInt(address), length: 32, flags, next: i + 1 });
    }
    ring.offerRaw(0);
    ring.publish();
  }

  const wide: GuestOptions = { memory: { regions: [{ guestAddress: 0, sizeBytes: 0x4000000 }] } };

  it('end in a counted drop if source and target together need more than there are', () => {
    // The source takes 5 of 8 windows, the target needs 5 more: a batch may not evict its own.
    wire = new FirmwareWire([wide, wide], { slotCount: 8 });
    const target = wire.guest(1).ring(0);
    for (let i = 0; i < 5; i++) {
      const address = BigInt((i + 4) * SLOT_SIZE);
      const flags = i < 4 ? 3 : 2;
      target.writeDescriptor(i, { address, length: 32, flags, next: i + 1 });
    }
    target.offerRaw(0);
    target.publish();
    spreadFrame(wire, 5);
    wire.host.run();
    expect(wire.allDrops(1)).toEqual({ 'rx.windowExhausted': 1 });
  });

  it('are not asked for again, frame by frame, by a function that has had its part', () => {
    const small = { memory: { regions: [{ guestAddress: 0, sizeBytes: SLOT_SIZE }] } };
    wire = new FirmwareWire([small, small, small]);
    wire.postAll();
    for (const receiver of [1, 2]) {
      for (let i = 0; i < 16; i++) {
        wire.send(0, plainFrame({ to: wire.mac(receiver), from: wire.mac(0) }, 100, i));
      }
    }
    const { host } = wire;
    const isMissed = () => (host.firmware.turn(INTERRUPT_ALL) & TURN_MISSED) !== 0;
    while (isMissed() && host.register(REGISTER_MISS_FUNCTION) === 0) host.mapMissing();
    expect(host.firmware.isMidBatch()).toBe(1);
    expect(host.register(REGISTER_MISS_FUNCTION)).toBe(1);
    host.setRegister(REGISTER_EXHAUSTED, EXHAUSTED_FOR_FUNCTION + 1);
    expect(isMissed()).toBe(true);
    expect(host.register(REGISTER_MISS_FUNCTION), 'the next to ask').toBe(2);
    host.mapMissing();
    host.run();
    expect(wire.allDrops(1)).toEqual({ 'rx.windowExhausted': 16 });
    expect(wire.received(2).length).toBe(16);
  });

  it('end in a counted drop if the source leaves no window for a plain buffer', () => {
    wire = new FirmwareWire([wide, wide], { slotCount: 8 });
    wire.post(1);
    spreadFrame(wire, 8);
    wire.host.run();
    expect(wire.allDrops(1)).toEqual({ 'rx.windowExhausted': 1 });
  });
});
