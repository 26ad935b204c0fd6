import { afterEach, describe, expect, it } from 'vitest';
import { BATCH_MAX } from '../../layout/limits.ts';
import { SLOT_SIZE } from '../../layout/memory.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

/** A chunk outside the receiver's memory, and the slot of the window onto it. */
const CHUNK = 1000;
const SLOT = 63;

describe.each([false, true])('a batch, on packed rings: %s', (packed) => {
  let wire: FirmwareWire;

  afterEach(() => wire.close());

  function sendAll(frames: number, length: number): void {
    for (let i = 0; i < frames; i++) {
      const frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, length, i);
      if (!wire.send(0, frame)) throw new Error('assertion: the ring is full');
    }
  }

  /**
   * Frames of which the receiver has been notified when delivery number `trap` ends in a trap.
   * There is no other way to observe this from within one thread.
   */
  function heardAt(trap: number, sent: number, length: number): number {
    const rings = { packed, queueSize: 512, slots: 256, indirectShare: 0 };
    const guest: GuestOptions = { ...rings, layout: 'shared' };
    wire = new FirmwareWire([guest, guest]);
    wire.postAll();
    sendAll(256, length); // maps all windows
    wire.host.settle();
    wire.received(1, { repost: false });
    wire.post(1, trap - 1);
    const { ring } = wire.guest(1).pair(0).receive;
    ring.piece(CHUNK * SLOT_SIZE, 2048, true);
    ring.commit(false);
    wire.post(1);
    const { firmware } = wire.host;
    const key = (2n << 48n) | BigInt(CHUNK);
    firmware.insertWindow(key, 0, SLOT_SIZE, wire.host.slotAddress(SLOT), SLOT);
    sendAll(sent, length);
    expect(() => wire.host.turn()).toThrow(WebAssembly.RuntimeError);
    return wire.received(1, { repost: false }).length;
  }

  it.each([
    ['in two halves', 128, 60, 64],
    ['in steps of 32 if it is short', 40, 60, 32],
    ['in one step if it is shorter', 32, 60, 0],
    ['in steps of 48 KiB if frames are large', 128, 1500, 96],
    ['in the same steps if it is half as long', 64, 1500, 32],
  ])('that empties its ring is delivered %s', (_, frames, length, heard) => {
    expect(heardAt(frames, frames, length)).toBe(heard);
  });

  it('that leaves frames in its ring is delivered in one step', () => {
    expect(heardAt(BATCH_MAX, BATCH_MAX + 1, 60)).toBe(0);
    expect(BATCH_MAX).toBe(128);
  });
});
