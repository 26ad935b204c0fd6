import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { plainFrame } from '../support/frames.ts';

const EVENT_IDX = [VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX];
const FLAGS = [VIRTIO_F_VERSION_1];

/** Whether `index` lies in the half-open range that begins at `first`, on a circle of 65536. */
function isWithin(index: number, first: number, count: number): boolean {
  return ((index - first) & 0xffff) < count;
}

describe('notification', () => {
  let wire: FirmwareWire;

  afterEach(() => {
    wire.close();
  });

  function start(features: number[], ringBase = 0): Uint8Array {
    const options = { features, queueSize: 64, layout: 'shared' } as const;
    wire = new FirmwareWire([{ ...options, ringBase }, options]);
    wire.postAll();
    wire.run();
    wire.host.signals.length = 0;
    return plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 60);
  }

  const base = fc.nat(0xffff);
  const batches = fc.array(
    fc.record({ frames: fc.integer({ min: 1, max: 40 }), event: fc.nat(0xffff), near: fc.nat(80) }),
    { minLength: 1, maxLength: 12 },
  );

  it('to the driver: exactly when the used index passes its event, round the wrap too', () => {
    const property = fc.property(base, batches, (ringBase, steps) => {
      const frame = start(EVENT_IDX, ringBase);
      const ring = wire.guest(0).ring(1);
      const ringNumber = wire.host.ringNumber(0, 1);
      for (const { frames, event, near } of steps) {
        const before = ring.usedIndex;
        // Half of them close to where the index is about to pass.
        const wanted = (event & 1) === 0 ? event : (before + near - 20) & 0xffff;
        ring.setUsedEvent(wanted);
        for (let i = 0; i < frames; i++) {
          expect(wire.guest(0).pair(0).transmit.trySend(frame)).toBe(true);
        }
        ring.publish();
        wire.run();
        const called = wire.host.signals.splice(0).includes(ringNumber);
        expect(called).toBe(isWithin(wanted, before, frames));
        wire.received(1);
      }
      wire.close();
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('from the driver: a kick is asked for exactly while the processor sleeps', () => {
    const property = fc.property(base, batches, (ringBase, steps) => {
      const frame = start(EVENT_IDX, ringBase);
      const { transmit } = wire.guest(0).pair(0);
      const { firmware } = wire.host;
      for (const { frames } of steps) {
        const isAsleep = frames % 2 === 0;
        if (isAsleep) expect(firmware.arm()).toBe(0);
        for (let i = 0; i < frames; i++) expect(transmit.trySend(frame)).toBe(true);
        expect(transmit.ring.publish()).toBe(isAsleep);
        // Armed too late, the processor is told that there is work already.
        expect(firmware.arm()).toBe(1);
        firmware.disarm();
        wire.run();
        wire.received(1);
      }
      wire.close();
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('by flags: no call while NO_INTERRUPT is set, no kick while NO_NOTIFY is', () => {
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

  it('to a receiver: one call for a batch, however many frames it brought', () => {
    const frame = start(FLAGS);
    const { transmit } = wire.guest(0).pair(0);
    // The second round meets no missing window, which would cut the batch.
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
});
