import { beforeAll, describe, expect, it } from 'vitest';
import { fillSeeded } from '../../src/testing/frames.ts';
import { FirmwareHost } from '../support/firmware-host.ts';

// Ordinary memory, far from everything that the firmware uses.
const SOURCE = 0x2000000;
const TARGET = 0x2100000;
const ROOM = 512;
const PAGE_SIZE = 4096;
const CANARY = 0x5a;

describe('copy', () => {
  let host: FirmwareHost;

  beforeAll(() => {
    host = new FirmwareHost({ slotCount: 1 });
    host.mapPlain(SOURCE, PAGE_SIZE);
    host.mapPlain(TARGET, PAGE_SIZE);
    host.mapPlain(host.slotAddress(0) - PAGE_SIZE, PAGE_SIZE);
    fillSeeded(host.bytes.subarray(SOURCE, SOURCE + ROOM), 7);
  });

  function check(to: number, from: number, length: number): void {
    const area = host.bytes.subarray(TARGET, TARGET + ROOM);
    area.fill(CANARY);
    host.firmware.copy(TARGET + to, SOURCE + from, length);
    const expected = new Uint8Array(ROOM).fill(CANARY);
    expected.set(host.bytes.subarray(SOURCE + from, SOURCE + from + length), to);
    const what = `${length} bytes from offset ${from} to offset ${to}`;
    expect(Buffer.compare(area, expected), what).toBe(0);
  }

  it('copies exactly the given bytes, for every length from 0 to 300', () => {
    for (let length = 0; length <= 300; length++) check(32, 64, length);
  });

  it('copies exactly the given bytes, for every alignment of source and target', () => {
    for (let to = 0; to < 16; to++) {
      for (let from = 0; from < 16; from++) {
        for (const length of [1, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 130]) {
          check(to, from, length);
        }
      }
    }
  });

  it('reads nothing past the source and writes nothing past the target', () => {
    // Both ends border on a page that traps.
    const { linear, firmware } = host;
    const slot = host.slotAddress(0);
    const from = slot - 300;
    fillSeeded(host.bytes.subarray(from, slot), 9);
    for (let length = 0; length <= 300; length++) {
      firmware.copy(TARGET, slot - length, length);
      firmware.copy(slot - length, TARGET, length);
    }
    expect(() => firmware.copy(TARGET, slot - 8, 16)).toThrow(WebAssembly.RuntimeError);
    expect(linear.sizeBytes).toBe(2 ** 32);
  });
});
