import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  INTERRUPT_ALL,
  INTERRUPT_RECEIVERS,
  REGISTER_SENT_BYTES,
  TURN_BUSY,
  TURN_MISSED,
} from '../../layout/processor.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { Random } from '../../src/testing/random.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const EVENT_IDX = [VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX];
const FLAGS = [VIRTIO_F_VERSION_1];

const FORMATS = [
  { title: 'split', packed: false, queueSize: 64 },
  { title: 'packed', packed: true, queueSize: 64 },
  { title: 'packed, of an odd size', packed: true, queueSize: 61 },
] as const;

describe.each(FORMATS)('notification on rings that are $title', ({ packed, queueSize }) => {
  let wire: FirmwareWire;

  afterEach(() => {
    wire.close();
  });

  function start(features: number[], ringBase = 0): Uint8Array {
    const options = { features, packed, queueSize, layout: 'shared' } as const;
    wire = new FirmwareWire([{ ...options, ringBase }, options]);
    wire.postAll();
    wire.run();
    wire.host.signals.length = 0;
    return plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 60);
  }

  /** How far from the current position a driver can name an event unambiguously. */
  const reach = packed ? queueSize : 0x8000;
  const base = fc.nat(0xffff);
  const batches = fc.array(
    fc.record({
      frames: fc.integer({ min: 1, max: 40 }),
      // Half of them are close to the positions that are passed next.
      event: fc.oneof(
        fc.integer({ min: -20, max: 60 }),
        fc.integer({ min: -reach, max: reach - 1 }),
      ),
    }),
    { minLength: 1, maxLength: 12 },
  );

  /** The event index for a number of slots since the ring started. */
  function eventPlace(slots: number): number {
    return packed ? wire.guest(0).packedRing(1).placeOf(slots) : slots & 0xffff;
  }

  it('to the driver: exactly when the used side passes its event, also at the wrap', () => {
    const property = fc.property(base, batches, (ringBase, steps) => {
      const frame = start(EVENT_IDX, ringBase);
      const { ring } = wire.guest(0).pair(0).transmit;
      const ringNumber = wire.host.ringNumber(0, 1);
      let used = ringBase + 0x10000 * queueSize * 2; // the same position, without negative numbers
      for (const { frames, event } of steps) {
        ring.setUsedEvent(eventPlace(used + event));
        for (let i = 0; i < frames; i++) {
          expect(wire.guest(0).pair(0).transmit.trySend(frame)).toBe(true);
        }
        ring.publish();
        wire.run();
        const called = wire.host.signals.splice(0).includes(ringNumber);
        expect(called).toBe(event >= 0 && event < frames);
        used += frames;
        wire.received(1);
      }
      wire.close();
    });
    fc.assert(property, { numRuns: 25 });
  });

  it('from the driver: kicks are requested exactly while the processor sleeps', () => {
    const property = fc.property(base, batches, (ringBase, steps) => {
      const frame = start(EVENT_IDX, ringBase);
      const { transmit } = wire.guest(0).pair(0);
      const { firmware } = wire.host;
      for (const { frames } of steps) {
        const isAsleep = frames % 2 === 0;
        if (isAsleep) expect(firmware.arm()).toBe(0);
        for (let i = 0; i < frames; i++) expect(transmit.trySend(frame)).toBe(true);
        expect(transmit.ring.publish()).toBe(isAsleep);
        // If armed too late, the processor learns that there is work already.
        expect(firmware.arm()).toBe(1);
        firmware.disarm();
        wire.run();
        wire.received(1);
      }
      wire.close();
    });
    fc.assert(property, { numRuns: 25 });
  });

  it('by flags: no call while NO_INTERRUPT is set, no kick while NO_NOTIFY is set', () => {
    const frame = start(FLAGS);
    const { transmit } = wire.guest(0).pair(0);
    const ringNumber = wire.host.ringNumber(0, 1);
    for (let round = 0; round < 8; round++) {
      const isQuiet = round % 2 === 0;
      if (isQuiet) transmit.ring.suppressCall();
      else transmit.ring.armCall();
      const isAsleep = round % 4 < 2;
      if (isAsleep) wire.host.firmware.arm();
      transmit.trySend(frame);
      expect(transmit.ring.publish()).toBe(isAsleep);
      wire.host.firmware.disarm();
      wire.run();
      expect(wire.host.signals.splice(0).includes(ringNumber)).toBe(!isQuiet);
      wire.received(1);
    }
  });

  it('to the driver: no event is missed, even if the ring wraps while frames wait', () => {
    // A small ring, frames from three senders in one turn, and missing windows in between. The
    // driver takes its buffers and posts them again during the turn.
    const regions = [0, 1, 2, 3].map((n) => ({ guestAddress: n * 2 ** 28, sizeBytes: 2 ** 26 }));
    const memory = { sparse: true, regions };
    const size = packed ? 5 : 4;
    const sender = { features: EVENT_IDX, queueSize: 64, layout: 'shared' } as const;
    const receiver = { ...sender, memory, packed, queueSize: size };
    wire = new FirmwareWire([receiver, sender, sender, sender]);
    const random = new Random(7);
    const { receive } = wire.guest(0).pair(0);
    wire.post(0);
    let isAsleep = !receive.ring.armCall();
    let wakes = 0;
    for (let round = 0; round < 600; round++) {
      for (const number of wire.guests.keys()) wire.host.forgetWindows(number);
      for (const from of [1, 2, 3]) {
        for (let count = random.between(0, 5); count > 0; count--) {
          wire.send(from, plainFrame({ to: wire.mac(0), from: wire.mac(from) }, 60));
        }
      }
      for (let idle = 0; idle < 2; ) {
        const flags = wire.host.turn();
        const isOver = (flags & TURN_MISSED) === 0;
        idle = isOver && (flags & TURN_BUSY) === 0 ? idle + 1 : 0;
        const isCalled = wire.host.signals.splice(0).includes(wire.host.ringNumber(0, 0));
        // While awake, the driver reads the ring at any time. It sleeps when it has found nothing.
        if (isAsleep && isCalled) wakes += 1;
        if (isCalled) isAsleep = false;
        if (isAsleep && isOver) expect(receive.ring.hasUsed).toBe(false);
        if (isAsleep || random.chance(0.4)) continue;
        wire.received(0);
        isAsleep = !receive.ring.armCall();
      }
    }
    expect(wakes).toBeGreaterThan(100);
  });

  it('to a receiver: one call per batch, however many frames the batch has', () => {
    const frame = start(FLAGS);
    const { transmit } = wire.guest(0).pair(0);
    // The second round has no missing window, which would split the batch.
    for (let round = 0; round < 2; round++) {
      wire.host.signals.length = 0;
      for (let i = 0; i < 40; i++) expect(transmit.trySend(frame)).toBe(true);
      transmit.ring.publish();
      wire.run();
      expect(wire.received(1).length).toBe(40);
    }
    const receiver = wire.host.ringNumber(1, 0);
    expect(wire.host.signals.filter((ring) => ring === receiver).length).toBe(1);
  });

  it('to senders: later if the host asks for it, and then once for all their frames', () => {
    const frame = start(EVENT_IDX);
    const [sender, receiver] = [wire.host.ringNumber(0, 1), wire.host.ringNumber(1, 0)];
    const { transmit } = wire.guest(0).pair(0);
    const { receive } = wire.guest(1).pair(0);
    const send = (whom: number) => {
      expect(transmit.trySend(frame)).toBe(true);
      transmit.ring.publish();
      let flags = TURN_MISSED;
      while ((flags & (TURN_MISSED | TURN_BUSY)) !== 0) flags = wire.host.turn(whom);
      wire.received(1);
      receive.ring.armCall();
      return wire.host.signals.splice(0);
    };
    const armSender = () => {
      transmit.reclaim();
      expect(transmit.ring.armCall()).toBe(false);
    };
    send(INTERRUPT_ALL);
    armSender();
    expect(send(INTERRUPT_RECEIVERS)).toEqual([receiver]);
    expect(send(INTERRUPT_RECEIVERS)).toEqual([receiver]);
    expect(wire.host.firmware.interruptRest()).toBe(1);
    wire.host.collect();
    expect(wire.host.signals.splice(0)).toEqual([sender]);
    expect(wire.host.firmware.interruptRest()).toBe(0);

    armSender();
    expect(send(INTERRUPT_RECEIVERS)).toEqual([receiver]);
    expect(send(INTERRUPT_ALL).toSorted()).toEqual([sender, receiver].toSorted());
    expect(wire.host.firmware.interruptRest()).toBe(0);
  });

  it('counts what was sent', () => {
    const frame = start(FLAGS);
    const before = wire.host.register(REGISTER_SENT_BYTES);
    for (let i = 0; i < 10; i++) expect(wire.guest(0).pair(0).transmit.trySend(frame)).toBe(true);
    wire.guest(0).pair(0).transmit.ring.publish();
    wire.run();
    expect(wire.host.register(REGISTER_SENT_BYTES) - before).toBe(10 * frame.length);
  });
});
