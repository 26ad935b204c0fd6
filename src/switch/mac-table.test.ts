import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SHARED_FDB, SHARED_SIZE } from '../../layout/memory.ts';
import { FDB_SET_COUNT, FDB_SET_SIZE, FDB_STAMPS, FDB_STATIC } from '../../layout/switch.ts';
import { macBytes, macNumber, readMacTable } from './mac-table.ts';

function table(): DataView {
  return new DataView(new ArrayBuffer(SHARED_SIZE));
}

function put(view: DataView, set: number, way: number, mac: string, port: number, stamp: number) {
  const at = SHARED_FDB + set * FDB_SET_SIZE;
  view.setBigUint64(at + way * 8, (BigInt(port + 1) << 48n) | macNumber(mac), true);
  view.setUint32(at + FDB_STAMPS + way * 4, stamp, true);
}

describe('a MAC address', () => {
  it('is the number that a little-endian load of the frame yields', () => {
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

  it('is read in either case', () => {
    expect(macNumber('02:AB:CD:EF:00:01')).toBe(macNumber('02:ab:cd:ef:00:01'));
  });

  it('comes out as it went in, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.nat(255), (bytes, port) => {
        const mac = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
        const view = table();
        put(view, 0, 0, mac, port, 5);
        expect(readMacTable(view, 5, 300)).toEqual([{ mac, port, ageSeconds: 0, isStatic: false }]);
      }),
    );
  });
});

describe('the table', () => {
  it('is empty at first', () => {
    expect(readMacTable(table(), 1000, 300)).toEqual([]);
  });

  it('shows the ways of all sets, with the age of each', () => {
    const view = table();
    put(view, 0, 3, '02:00:00:00:00:01', 0, 990);
    put(view, FDB_SET_COUNT - 1, 0, '02:00:00:00:00:02', 255, FDB_STATIC);
    expect(readMacTable(view, 1000.9, 300)).toEqual([
      { mac: '02:00:00:00:00:01', port: 0, ageSeconds: 10, isStatic: false },
      { mac: '02:00:00:00:00:02', port: 255, ageSeconds: 0, isStatic: true },
    ]);
  });

  it('leaves out what has aged, never what is static', () => {
    const view = table();
    put(view, 1, 0, '02:00:00:00:00:01', 1, 700);
    put(view, 1, 1, '02:00:00:00:00:02', 1, 699);
    put(view, 1, 2, '02:00:00:00:00:03', 1, FDB_STATIC);
    const macs = readMacTable(view, 1000, 300).map((entry) => entry.mac);
    expect(macs).toEqual(['02:00:00:00:00:01', '02:00:00:00:00:03']);
  });

  it('shows no negative age when a processor’s clock is ahead', () => {
    const view = table();
    put(view, 1, 0, '02:00:00:00:00:01', 1, 1001);
    expect(readMacTable(view, 1000, 300)[0]?.ageSeconds).toBe(0);
  });
});
