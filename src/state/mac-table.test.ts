import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SHARED_FDB, SHARED_SIZE } from '../../layout/memory.ts';
import {
  FDB_DISTANCE_SHIFT,
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_STAMPS,
  FDB_STATIC_BIT,
  FDB_TAG_BITS,
  VLAN_ANY,
} from '../../layout/switch.ts';
import { addressNumber, macBytes, macNumber, placeOf, readMacTable } from './mac-table.ts';

function table(): DataView {
  return new DataView(new ArrayBuffer(SHARED_SIZE));
}

const STATIC = 'static';

function put(
  view: DataView,
  place: { way: number; distance?: number },
  address: bigint,
  port: number,
  stamp: number | typeof STATIC,
): void {
  const { way, distance = 0 } = place;
  const { set, tag } = placeOf(address);
  const at = SHARED_FDB + ((set + distance) % FDB_SET_COUNT) * FDB_SET_SIZE;
  const far = BigInt(distance) << BigInt(FDB_DISTANCE_SHIFT);
  const key = (BigInt(port + 1) << BigInt(FDB_TAG_BITS)) | tag | far;
  const flag = stamp === STATIC ? 1n << BigInt(FDB_STATIC_BIT) : 0n;
  view.setBigUint64(at + way * 8, key | flag, true);
  if (stamp !== STATIC) view.setUint32(at + FDB_STAMPS + way * 4, stamp, true);
}

describe('a MAC address', () => {
  it('is the number that a little-endian load from the frame yields', () => {
    expect(macNumber('02:00:00:00:00:0a')).toBe(0x0a00_0000_0002n);
    expect(macNumber('ff:ff:ff:ff:ff:ff')).toBe(2n ** 48n - 1n);
    const frame = new Uint8Array(16);
    frame.set(macBytes('02:12:34:56:78:9a'));
    expect(new DataView(frame.buffer).getBigUint64(0, true)).toBe(macNumber('02:12:34:56:78:9a'));
  });

  it('has its group bit where the firmware looks for it', () => {
    expect(macNumber('01:00:5e:00:00:01') & 1n).toBe(1n);
    expect(macNumber('02:00:00:00:00:01') & 1n).toBe(0n);
  });

  it('is read in upper and lower case', () => {
    expect(macNumber('02:AB:CD:EF:00:01')).toBe(macNumber('02:ab:cd:ef:00:01'));
  });

  it('survives a round trip with any VLAN, port and distance', () => {
    const bytes = fc.uint8Array({ minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(
        bytes,
        fc.nat(VLAN_ANY),
        fc.nat(255),
        fc.nat(63),
        (address, vlan, port, distance) => {
          const mac = [...address].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
          const view = table();
          put(view, { way: 0, distance }, addressNumber(mac, vlan), port, 5);
          const entry = { mac, vlan, port, ageSeconds: 0, isStatic: false };
          expect(readMacTable(view, 5, 300)).toEqual([entry]);
        },
      ),
    );
  });
});

const [FIRST, SECOND, THIRD] = ['01', '02', '03'].map((end) => `02:00:00:00:00:${end}`) as [
  string,
  string,
  string,
];

describe('the table', () => {
  it('is empty at first', () => {
    expect(readMacTable(table(), 1000, 300)).toEqual([]);
  });

  it('lists all ways of all sets, with VLAN and age', () => {
    const view = table();
    put(view, { way: 3 }, macNumber(FIRST), 0, 990);
    put(view, { way: 0 }, addressNumber(SECOND, 10), 255, STATIC);
    const entries = readMacTable(view, 1000.9, 300).sort((a, b) => a.port - b.port);
    expect(entries).toEqual([
      { mac: FIRST, vlan: 0, port: 0, ageSeconds: 10, isStatic: false },
      { mac: SECOND, vlan: 10, port: 255, ageSeconds: 0, isStatic: true },
    ]);
  });

  it('spreads similar addresses over its sets', () => {
    const sets = new Set<number>();
    for (let i = 0; i < FDB_SET_COUNT; i++) {
      const mac = `02:00:00:00:${(i >> 8).toString(16)}:${(i & 255).toString(16)}`;
      sets.add(placeOf(addressNumber(mac, i & 1)).set);
    }
    expect(sets.size).toBeGreaterThan(FDB_SET_COUNT / 2);
  });

  it('omits aged entries, but never static ones', () => {
    const view = table();
    put(view, { way: 0 }, macNumber(FIRST), 1, 700);
    put(view, { way: 1 }, macNumber(SECOND), 1, 699);
    put(view, { way: 2 }, macNumber(THIRD), 1, STATIC);
    const macs = readMacTable(view, 1000, 300).map((entry) => entry.mac);
    expect(macs.sort()).toEqual([FIRST, THIRD]);
  });

  it('lists no negative age when a processor’s clock is ahead', () => {
    const view = table();
    put(view, { way: 0 }, macNumber(FIRST), 1, 1001);
    expect(readMacTable(view, 1000, 300)[0]?.ageSeconds).toBe(0);
  });
});
