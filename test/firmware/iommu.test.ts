import { afterEach, describe, expect, it } from 'vitest';
import { UNTRANSLATED_COUNT_MAX } from '../../layout/limits.ts';
import {
  IOTLB_READ,
  IOTLB_WRITE,
  RING_VIEWS_BASE,
  SHARED_BASE,
  SHARED_FUNCTIONS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_ENTRY_SIZE,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory.ts';
import { FUNCTION_BEHIND_IOMMU } from '../../layout/port.ts';
import { REGISTER_UNTRANSLATED_COUNT } from '../../layout/processor.ts';
import { RING_VIEW_PARKED, RING_VIEW_SIZE } from '../../layout/virtqueue.ts';
import { Iotlb } from '../../src/memory/iotlb.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const TRANSMIT = 1;

describe.each([
  { format: 'split', packed: false },
  { format: 'packed', packed: true },
])('a guest behind an IOMMU whose addresses are not known yet, $format rings', ({ packed }) => {
  let wire: FirmwareWire;

  afterEach(() => wire.close());

  /** Two guests; the first is behind an IOMMU, with a frame in each of its transmit rings. */
  function start(queuePairs: number): Uint8Array {
    wire = new FirmwareWire([{ packed, queuePairs, indirectShare: 0 }, { packed }]);
    wire.post(1);
    wire.host.view.setUint32(SHARED_BASE + SHARED_FUNCTIONS + FUNCTION_BEHIND_IOMMU, 1, true);
    const frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 100);
    for (let pair = 0; pair < queuePairs; pair++) wire.send(0, frame, 'shared', pair);
    return frame;
  }

  function isParked(queue: number): boolean {
    const view = RING_VIEWS_BASE + wire.host.ringNumber(0, queue) * RING_VIEW_SIZE;
    return wire.host.view.getUint16(view + RING_VIEW_PARKED, true) !== 0;
  }

  /** Takes the addresses from the list for the host. */
  function takeNoted(): bigint[] {
    const { host } = wire;
    const count = host.register(REGISTER_UNTRANSLATED_COUNT);
    host.setRegister(REGISTER_UNTRANSLATED_COUNT, 0);
    return Array.from({ length: count }, (_, index) => {
      const entry = UNTRANSLATED_LIST_BASE + index * UNTRANSLATED_ENTRY_SIZE;
      return host.view.getBigUint64(entry + UNTRANSLATED_ADDRESS, true);
    });
  }

  /** Maps all of the guest's memory, one to one. */
  function translate(): void {
    const iotlb = new Iotlb(wire.host.firmware);
    for (const { guestAddress, sizeBytes } of wire.guest(0).memory.regions) {
      const range = { iova: BigInt(guestAddress), sizeBytes: BigInt(sizeBytes), guestAddress };
      iotlb.apply(0, { type: 'update', ...range, access: IOTLB_READ | IOTLB_WRITE });
    }
    wire.host.firmware.unparkRings(0, 32);
  }

  it('has its ring parked once the missing address is recorded, until there is an update', () => {
    const frame = start(1);
    wire.host.turn();
    expect(isParked(TRANSMIT)).toBe(true);
    expect(takeNoted()).toHaveLength(1);
    wire.host.turn();
    expect(takeNoted(), 'a parked ring requests nothing').toEqual([]);
    translate();
    wire.run();
    expect(isParked(TRANSMIT)).toBe(false);
    expect(wire.received(1)).toEqual([frame]);
  });

  it('does not have its ring parked if there is no room to record the address', () => {
    const frame = start(1);
    wire.host.setRegister(REGISTER_UNTRANSLATED_COUNT, UNTRANSLATED_COUNT_MAX);
    wire.host.turn();
    expect(isParked(TRANSMIT), 'nobody would request it').toBe(false);
    expect(takeNoted()).toHaveLength(UNTRANSLATED_COUNT_MAX);
    wire.host.turn();
    expect(isParked(TRANSMIT)).toBe(true);
    expect(takeNoted()).toHaveLength(1);
    translate();
    wire.run();
    expect(wire.received(1)).toEqual([frame]);
  });

  it('has as many rings parked as addresses could be recorded', () => {
    start(4);
    const room = 2;
    wire.host.setRegister(REGISTER_UNTRANSLATED_COUNT, UNTRANSLATED_COUNT_MAX - room);
    wire.host.turn();
    const parked = [0, 1, 2, 3].filter((pair) => isParked(pair * 2 + TRANSMIT));
    expect(parked).toHaveLength(room);
    expect(takeNoted()).toHaveLength(UNTRANSLATED_COUNT_MAX);
    wire.host.turn();
    expect(takeNoted(), 'the others').toHaveLength(4 - room);
    translate();
    wire.run();
    expect(wire.received(1)).toHaveLength(4);
  });
});
