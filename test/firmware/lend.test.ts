import { afterEach, describe, expect, it } from 'vitest';
import { PORT_IS_UPLINK } from '../../layout/port.ts';
import { TURN_LENT } from '../../layout/processor.ts';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { DESCRIPTOR_F_WRITE, USED_LENT } from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

/** All of it fits into one window. */
const memory = { regions: [{ guestAddress: 0, sizeBytes: 0x400000 }] };
/** Size of a buffer, as in the port of an uplink. */
const SIZE = 4032;

describe('a ring whose driver accepts lent frames', () => {
  let wire: FirmwareWire;

  afterEach(() => {
    wire.close();
  });

  /** Guest 1 is the driver, with buffers that are posted by hand. */
  function open(lendableBytes = 0xffff_ffff, buffers = 1) {
    wire = new FirmwareWire([{ slots: 4, frameSizeMax: 9000, memory }, { memory }]);
    lend(lendableBytes);
    // Only uplinks lend; what they have no buffers for does not wait.
    wire.host.view.setUint32(wire.host.portRecord(1) + PORT_IS_UPLINK, 1, true);
    const driver = wire.guest(1).memory;
    const ring = wire.guest(1).ring(0);
    const span = driver.allocate(SIZE * buffers);
    for (let i = 0; i < buffers; i++) {
      const address = BigInt(span.address + i * SIZE);
      ring.writeDescriptor(i, { address, length: SIZE, flags: DESCRIPTOR_F_WRITE });
      ring.offerRaw(i);
    }
    ring.publish();
    return { ring, span, memory: driver };
  }

  function lend(bytes: number): void {
    wire.host.firmware.setLending(wire.host.ringNumber(1, 0), bytes);
  }

  function turnsUntilLent(): boolean {
    for (let turns = 0; turns < 10; turns++) {
      if ((wire.host.turn() & TURN_LENT) !== 0) return true;
    }
    return false;
  }

  it('gets the pieces of a large frame, whose sender waits until the next turn', () => {
    const { ring, span, memory } = open();
    const frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 8000, 7);
    expect(wire.send(0, frame, 'split')).toBe(true);
    expect(turnsUntilLent()).toBe(true);
    const used = ring.popRaw();
    const pieces = ((used?.length ?? 0) - USED_LENT - NET_HEADER_SIZE) / 8;
    expect(pieces).toBeGreaterThan(0);
    const bytes: number[] = [];
    for (let i = 0; i < pieces; i++) {
      const at = span.offset + NET_HEADER_SIZE + i * 8;
      const start = memory.view.getUint32(at, true);
      bytes.push(...wire.host.bytes.subarray(start, start + memory.view.getUint32(at + 4, true)));
    }
    expect(Uint8Array.from(bytes)).toEqual(frame);
    const sender = wire.guest(0).ring(1);
    expect(sender.usedIndex).toBe(0);
    wire.host.turn();
    expect(sender.usedIndex).toBe(1);
    wire.run();
  });

  it('gets no more than it can send in one go, and the rest of the batch waits', () => {
    const { ring } = open(17_000, 6);
    const frame = (seed: number) => plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 8000, seed);
    for (let i = 0; i < 4; i++) expect(wire.send(0, frame(i), 'shared')).toBe(true);
    const sender = wire.guest(0).ring(1);
    const isLent = () => (ring.popRaw()?.length ?? 0) > USED_LENT;
    expect(turnsUntilLent()).toBe(true);
    expect([isLent(), isLent()]).toEqual([true, true]);
    expect(ring.popRaw()).toBeNull();
    expect(sender.usedIndex).toBe(0);
    // There is room for one, then for none: a frame that cannot be lent is copied.
    lend(9000);
    expect(turnsUntilLent()).toBe(true);
    expect(isLent()).toBe(true);
    lend(0);
    wire.host.turn();
    const parts = [ring.popRaw(), ring.popRaw()].map((one) => one?.length ?? 0);
    expect(parts.reduce((sum, length) => sum + length)).toBe(NET_HEADER_SIZE + 8000);
    expect(sender.usedIndex).toBe(4);
    wire.run();
  });

  it('gets small frames as copies', () => {
    const { ring, span, memory } = open();
    const frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 1000, 8);
    wire.send(0, frame, 'split');
    expect(turnsUntilLent()).toBe(false);
    expect(ring.popRaw()?.length).toBe(NET_HEADER_SIZE + 1000);
    const start = span.offset + NET_HEADER_SIZE;
    expect(memory.bytes.slice(start, start + 1000)).toEqual(frame);
    wire.run();
  });
});
