import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SLOT_SIZE } from '../../layout/memory.ts';
import { threadCpuMicroseconds } from '../../src/os/cpu-time.ts';
import { c } from '../../src/os/libc.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { fillSeeded } from '../../src/testing/frames.ts';
import { FirmwareHost } from '../support/firmware-host.ts';
import { onesSum } from './internet-checksum.ts';

/**
 * (func (export "sum") (param $at i32) (param $end i32) (result i32)): adds 16 bits at a time. A
 * compiler's output for the plain loop, as the baseline.
 */
const SCALAR_LOOP = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version 1
  ...[0x01, 0x07, 0x01, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f], // type: (i32, i32) → i32
  ...[0x02, 0x14, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79], // memory
  ...[0x02, 0x01, 0x80, 0x80, 0x04, 0x80, 0x80, 0x04], // 65536 pages
  ...[0x03, 0x02, 0x01, 0x00, 0x07, 0x07, 0x01, 0x03, 0x73, 0x75, 0x6d, 0x00, 0x00], // "sum"
  ...[0x0a, 0x21, 0x01, 0x1f, 0x01, 0x01, 0x7f, 0x03, 0x40], // code: local $sum, loop
  ...[0x20, 0x02, 0x20, 0x00, 0x2f, 0x01, 0x00, 0x6a, 0x21, 0x02], // $sum += load16_u($at)
  ...[0x20, 0x00, 0x41, 0x02, 0x6a, 0x22, 0x00, 0x20, 0x01, 0x49, 0x0d, 0x00], // $at += 2 < $end?
  ...[0x0b, 0x20, 0x02, 0x0b],
]);
const LENGTH_MAX = 4096;
const ROUNDS = 31;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

describe('the Internet checksum', () => {
  let host: FirmwareHost;
  let fd: number;
  let start: number;

  beforeAll(() => {
    host = new FirmwareHost();
    fd = createMemoryFile('checksum', SLOT_SIZE, { sealed: true });
    start = host.slotAddress(1); // accesses before and after it trap
    host.linear.map(start, SLOT_SIZE, fd, 0);
  });
  afterAll(() => c.close(fd));

  function bytes(at: number, length: number): Uint8Array {
    return host.bytes.subarray(at, at + length);
  }

  /** The firmware's checksum, which is in the byte order of the machine. */
  function ofFirmware(at: number, length: number): number {
    const checksum = host.firmware.checksum(at, length);
    return ((checksum & 0xff) << 8) | (checksum >> 8);
  }

  function check(at: number, length: number): void {
    const expected = ~onesSum([bytes(at, length)]) & 0xffff;
    if (ofFirmware(at, length) === expected) return;
    throw new Error(`${length} bytes at alignment ${at & 15}: not ${expected.toString(16)}`);
  }

  it('equals that of a scalar loop for all lengths up to 4096 at all alignments', () => {
    fillSeeded(bytes(start, LENGTH_MAX + 16), 4);
    for (let alignment = 0; alignment < 16; alignment++) {
      for (let length = 0; length <= LENGTH_MAX; length++) check(start + alignment, length);
    }
  });

  it('reads no byte beyond its range: the next one would trap', () => {
    const end = start + SLOT_SIZE;
    fillSeeded(bytes(end - LENGTH_MAX, LENGTH_MAX), 5);
    for (let length = 0; length <= LENGTH_MAX; length++) check(end - length, length);
    expect(() => host.firmware.checksum(end, 1)).toThrow(WebAssembly.RuntimeError);
  });

  it('does not overflow: 64 KiB of ones, and the longest frame', () => {
    bytes(start, 65553).fill(0xff);
    for (const length of [65535, 65536, 65553]) check(start, length);
    expect(ofFirmware(start, 65536)).toBe(0);
    bytes(start, 65553).fill(0);
    expect(ofFirmware(start, 65536)).toBe(0xffff);
  });

  it('is at least four times as fast as a scalar loop on 1500 bytes and on 64 KiB', () => {
    const imports = { env: { memory: host.linear.memory } };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(SCALAR_LOOP), imports);
    const sum = instance.exports.sum as (at: number, end: number) => number;
    fillSeeded(bytes(start, 65536), 6);
    for (const length of [1500, 65536]) {
      const repeats = Math.ceil(4_000_000 / length);
      const simd = () => host.firmware.checksum(start, length);
      const scalar = () => sum(start, start + length);
      const ratios: number[] = [];
      const speeds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const slow = secondsOf(scalar, repeats);
        const fast = secondsOf(simd, repeats);
        ratios.push(slow / fast);
        speeds.push((length * repeats) / fast / 1e9);
      }
      const [ratio, speed] = [median(ratios), median(speeds)];
      console.log(
        `checksum of ${length} bytes: ${speed.toFixed(1)} GB/s, ` +
          `${ratio.toFixed(1)} × a scalar WebAssembly loop (median of ${ROUNDS})`,
      );
      expect(ratio).toBeGreaterThan(4);
    }
  });

  function secondsOf(act: () => number, repeats: number): number {
    const before = threadCpuMicroseconds();
    for (let i = 0; i < repeats; i++) act();
    return (threadCpuMicroseconds() - before) / 1e6;
  }
});
