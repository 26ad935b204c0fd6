import { afterEach, describe, expect, it } from 'vitest';
import {
  IOTLB_READ,
  IOTLB_WRITE,
  SHARED_BASE,
  SHARED_FUNCTIONS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory.ts';
import { FUNCTION_BEHIND_IOMMU } from '../../layout/port.ts';
import { REGISTER_UNTRANSLATED_COUNT } from '../../layout/processor.ts';
import { DESCRIPTOR_F_NEXT, DESCRIPTOR_F_WRITE } from '../../layout/virtqueue.ts';
import { Iotlb } from '../../src/memory/iotlb.ts';
import type { PackedDescriptor } from '../../src/testing/packed-queue.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const RECEIVE = 0;
const RING_SIZE = 4096;
const UNKNOWN = 0x7777_0000_0000n;

/** A guest behind an IOMMU with translations for all of its memory, but not for UNKNOWN. */
describe.each([false, true])('a look-ahead at the buffers of a guest, packed: %s', (packed) => {
  let wire: FirmwareWire;
  let address: bigint;

  afterEach(() => wire.close());

  function start(): void {
    wire = new FirmwareWire([{ packed, queueSize: RING_SIZE, slots: 16 }, {}]);
    wire.host.view.setUint32(SHARED_BASE + SHARED_FUNCTIONS + FUNCTION_BEHIND_IOMMU, 1, true);
    const iotlb = new Iotlb(wire.host.firmware);
    for (const { guestAddress, sizeBytes } of wire.guest(0).memory.regions) {
      const range = { iova: BigInt(guestAddress), sizeBytes: BigInt(sizeBytes), guestAddress };
      iotlb.apply(0, { type: 'update', ...range, access: IOTLB_READ | IOTLB_WRITE });
    }
    address = BigInt(wire.guest(0).memory.allocate(4096, 4096).address);
  }

  /** Posts buffers of `lengths` one-byte descriptors; those in `lasts` end in UNKNOWN. */
  function post(lengths: readonly number[], lasts: ReadonlySet<number>): void {
    let head = 0;
    for (const [index, length] of lengths.entries()) {
      const chain: PackedDescriptor[] = Array.from({ length }, (_, i) => ({
        address: i === length - 1 && lasts.has(index) ? UNKNOWN + BigInt(index) * 4096n : address,
        length: 1,
        flags: DESCRIPTOR_F_WRITE | (i < length - 1 ? DESCRIPTOR_F_NEXT : 0),
        id: index,
      }));
      if (packed) {
        wire
          .guest(0)
          .packedRing(RECEIVE)
          .offerRaw(...chain);
        continue;
      }
      const ring = wire.guest(0).ring(RECEIVE);
      for (const [i, one] of chain.entries()) {
        ring.writeDescriptor(head + i, { ...one, next: head + i + 1 });
      }
      ring.offerRaw(head);
      head += length;
    }
    if (!packed) wire.guest(0).ring(RECEIVE).publish();
  }

  /** One look-ahead, after opening its windows. Returns the buffers that it records. */
  function look(): number[] {
    const { firmware } = wire.host;
    firmware.openLookAhead();
    firmware.lookAhead(wire.host.ringNumber(0, RECEIVE));
    const count = wire.host.register(REGISTER_UNTRANSLATED_COUNT);
    wire.host.setRegister(REGISTER_UNTRANSLATED_COUNT, 0);
    return Array.from({ length: count }, (_, i) => {
      const at = UNTRANSLATED_LIST_BASE + i * 16 + UNTRANSLATED_ADDRESS;
      return Number((wire.host.view.getBigUint64(at, true) - UNKNOWN) / 4096n);
    });
  }

  function openWindow(): void {
    look();
    wire.host.mapMissing();
  }

  it('requests everything unknown, in several steps if buffers are long', () => {
    start();
    post(
      Array.from({ length: 100 }, () => 30),
      new Set([0, 50, 99]),
    );
    openWindow();
    const looks = Array.from({ length: 12 }, look);
    for (const buffer of [0, 50, 99]) expect(looks.flat()).toContain(buffer);
    // A single step would have to read 3000 descriptors.
    for (const noted of looks) expect(noted.length).toBeLessThan(3);
  });

  it('is not stopped by a buffer with more descriptors than one step may read', () => {
    start();
    post([1024, 1024, 1], new Set([2]));
    openWindow();
    expect(Array.from({ length: 12 }, look).flat()).toContain(2);
  });

  it('starts over when the ring has advanced, and when it reaches the end', () => {
    start();
    post([1, 1], new Set([1]));
    openWindow();
    expect([look(), look()]).toEqual([[1], [1]]);
  });
});
