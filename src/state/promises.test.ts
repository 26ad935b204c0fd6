import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_COUNT, NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { SHARED_PROMISES, SHARED_SIZE } from '../../layout/memory.ts';
import * as layout from '../../layout/scheduler.ts';
import {
  guaranteesMax,
  nicPromise,
  receivingPromise,
  sendingPromise,
  uplinkPromise,
  writePromise,
} from './promises.ts';

const nothing = { txShare: 0, txMax: 0, txWeight: 1, txPriority: 0, txBurst: 0 };
const top = { parent: 0, share: 0, totalShare: 0 };
const GBIT = 1e9;

function sending(words: object, place: Partial<typeof top> = {}) {
  return sendingPromise({ ...nothing, ...words }, { ...top, ...place });
}

describe('what a node may send', () => {
  it('is nothing in particular without words: its record is all zeros', () => {
    const view = new DataView(new ArrayBuffer(SHARED_SIZE));
    const received = receivingPromise({ rxMax: 0, rxMaxPackets: 0 });
    expect(writePromise(view, 0, { ...sending({}), ...received })).toBe(false);
    expect(writePromise(view, NODE_ROOT, nicPromise(0))).toBe(false);
    expect(writePromise(view, 1, uplinkPromise(0, 24))).toBe(false);
  });

  it('is the inverse of each rate', () => {
    expect(sending({ txMax: 8 * GBIT, txWeight: 4, txPriority: 3 })).toMatchObject({
      maxByteNs: 1,
      weightInverse: 0.25,
      priority: 3,
    });
    expect(sending({ txMaxPackets: 1e6 })).toMatchObject({ maxByteNs: 0, maxPacketNs: 1000 });
    expect(receivingPromise({ rxMax: 4 * GBIT, rxMaxPackets: 10 })).toMatchObject({
      rxByteNs: 2,
      rxPacketNs: 1e8,
    });
  });

  it.each([
    ['0.45 ms', { txMax: 8 * GBIT }, 450_000],
    ['two full frames at a low rate', { txMax: 8e6 }, 2 * 1514 * 1000],
    ['as many bytes as configured', { txMax: 8 * GBIT, txBurst: 2 ** 21 }, 2 ** 21],
    ['two packets, if only their number is limited', { txMaxPackets: 1000 }, 2e6],
    ['0.45 ms of many packets', { txMaxPackets: 1e6 }, 450_000],
    ['that of the bytes, if both are limited', { txMax: 8 * GBIT, txMaxPackets: 1 }, 450_000],
    ['none without a maximum', { txBurst: 2 ** 21 }, 0],
  ])('has a burst of %s', (_, words, burstNs) => {
    expect(sending(words).burstNs).toBe(burstNs);
  });
});

it.each([
  ['the largest frame', { rxMax: 8e6, rxMaxPackets: 0 }, 65_553_000],
  ['0.45 ms at a high rate', { rxMax: 8 * GBIT, rxMaxPackets: 0 }, 450_000],
  ['two packets, if only their number is limited', { rxMax: 0, rxMaxPackets: 1000 }, 2e6],
])('what a node may receive has a burst of %s', (_, words, burstNs) => {
  expect(receivingPromise(words).rxBurstNs).toBe(burstNs);
});

describe('the processor time of a guarantee', () => {
  /** Of one processor. */
  const timeOf = (share: number, totalShare: number): number =>
    1 / (sending({}, { share, totalShare }).shareTime ?? 0);

  it('is what it takes in the smallest frames while there is room for that', () => {
    expect(timeOf(GBIT, GBIT)).toBeCloseTo((GBIT / 8e9) * 1.2);
  });

  it('is what it takes in full frames if all guarantees together take everything', () => {
    const all = guaranteesMax(1);
    expect(all).toBe(48 * GBIT);
    expect(timeOf(GBIT, all)).toBeCloseTo((GBIT / 8e9) * 0.15);
    expect(timeOf(all, all)).toBeCloseTo(0.9);
  });

  it('never adds up to more than the part of a processor that may be guaranteed', () => {
    const shares = fc.array(fc.integer({ min: 8000, max: 4 * GBIT }), { minLength: 1 });
    fc.assert(
      fc.property(shares, (all) => {
        const total = all.reduce((sum, share) => sum + share, 0);
        fc.pre(total <= guaranteesMax(1));
        const time = all.reduce((sum, share) => sum + timeOf(share, total), 0);
        expect(time).toBeLessThanOrEqual(0.9 + 1e-9);
      }),
    );
  });
});

it('an uplink with a capacity holds what is sent to it, and counts what its wire adds', () => {
  expect(uplinkPromise(10 * GBIT, 24)).toEqual({
    rxByteNs: 0.8,
    rxBurstNs: 500_000,
    rxOverhead: 24,
  });
});

describe('a record', () => {
  const view = new DataView(new ArrayBuffer(SHARED_SIZE));
  const node = NODE_FIRST_GROUP + 3;
  const at = SHARED_PROMISES + node * layout.PROMISE_SIZE;

  it('has its fields where the firmware reads them', () => {
    const words = { txMax: 8 * GBIT, txWeight: 2, txPriority: 5, txMaxPackets: 1e9 };
    const place = { parent: NODE_FIRST_GROUP, share: 4 * GBIT, totalShare: 4 * GBIT };
    const received = receivingPromise({ rxMax: 2 * GBIT, rxMaxPackets: 5e8 });
    const record = { ...sending(words, place), ...received, rxOverhead: 24 };
    expect(writePromise(view, node, record)).toBe(true);
    const time = (field: number) => view.getFloat64(at + field, true);
    const word = (field: number) => view.getUint32(at + field, true);
    expect(time(layout.PROMISE_MAX_BYTE_NS)).toBe(1);
    expect(time(layout.PROMISE_MAX_PACKET_NS)).toBe(1);
    expect(time(layout.PROMISE_BURST_NS)).toBe(450_000);
    expect(time(layout.PROMISE_SHARE_BYTE_NS)).toBe(2);
    expect(time(layout.PROMISE_SHARE_TIME)).toBeCloseTo(1 / 0.6);
    expect(time(layout.PROMISE_WEIGHT_INVERSE)).toBe(0.5);
    expect(word(layout.PROMISE_PARENT)).toBe(NODE_FIRST_GROUP);
    expect(word(layout.PROMISE_PRIORITY)).toBe(5);
    expect(time(layout.PROMISE_RX_BYTE_NS)).toBe(4);
    expect(time(layout.PROMISE_RX_PACKET_NS)).toBe(2);
    expect(time(layout.PROMISE_RX_BURST_NS)).toBe(450_000);
    expect(word(layout.PROMISE_RX_OVERHEAD)).toBe(24);
    expect(writePromise(view, node, record), 'the same again').toBe(false);
  });

  it('is all zeros again when nothing is promised any more', () => {
    expect(writePromise(view, node, {})).toBe(true);
    expect(new Uint8Array(view.buffer, at, layout.PROMISE_SIZE).some((byte) => byte > 0)).toBe(
      false,
    );
    expect(() => writePromise(view, NODE_COUNT, {})).toThrow('assertion');
  });
});
