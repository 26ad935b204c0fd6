import { afterEach, describe, expect, it } from 'vitest';
import { FLOOD_COST_MAX } from '../../layout/limits.ts';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const RECEIVERS = 15;
const LENGTH = 60;
/** A copy to a ring whose lines are in another core's cache. */
const NANOSECONDS_PER_COPY = 600;

describe('floods whose copies take longer than by count', () => {
  let wire: FirmwareWire;

  afterEach(() => wire.close());

  const copies = () => wire.host.stats().vfs.reduce((sum, { rx }) => sum + rx.packets, 0);

  /** What each batch of so many broadcasts takes, in ns. */
  function batchesOf(frames: number): number[] {
    const batches: number[] = [];
    let before = copies();
    wire.host.costOfLook = () => {
      const work = (copies() - before) * NANOSECONDS_PER_COPY;
      before = copies();
      if (work > 0) batches.push(work);
      return 100 + work;
    };
    const frame = plainFrame({ to: BROADCAST, from: wire.mac(0) }, LENGTH, 0);
    for (let i = 0; i < frames; i++) expect(wire.send(0, frame)).toBe(true);
    wire.host.run();
    for (let guest = 1; guest <= RECEIVERS; guest++) {
      expect(wire.received(guest)).toHaveLength(frames);
    }
    return batches;
  }

  it('are cut into batches that take no longer than others', () => {
    const rings = { queueSize: 256, slots: 200, layout: 'shared' as const, indirectShare: 0 };
    const guest = { ...rings, features: [VIRTIO_F_VERSION_1] };
    const guests = Array.from({ length: 1 + RECEIVERS }, () => guest);
    wire = new FirmwareWire(guests, { slotCount: 4 * guests.length }); // no window is missed twice
    wire.postAll();
    wire.host.settle();
    batchesOf(100);
    const batches = batchesOf(100);
    expect(batches.reduce((sum, one) => sum + one, 0)).toBe(100 * RECEIVERS * NANOSECONDS_PER_COPY);
    expect(Math.max(...batches)).toBeLessThan(2 * FLOOD_COST_MAX);
  });
});
