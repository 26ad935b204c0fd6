import { describe, expect, test } from 'vitest';
import { markUnfinished } from './unfinished-checksum.ts';

// Frames as delivered by a veth: 'hello world 1234' over UDP, and the first segment of a TCP
// connection. Their senders left the checksums to the hardware.
const UDP =
  '02000000000122f2272d712608004500002cfe4d4000401128710a0000020a000001cb0700630018142c' +
  '68656c6c6f20776f726c642031323334';
const TCP =
  '02000000000122f2272d712608004500003c830140004006a3b80a0000020a000001b7960050f79a2d2600000000' +
  'a002faf014310000020405b40402080aecff9f07000000000103030a';
/** A frame like the first, but finished. */
const FINISHED = UDP.replace('0018142c', '00186c62');

function headerOf(hex: string): Uint8Array {
  const frame = Buffer.from(hex, 'hex');
  const bytes = new Uint8Array(12 + frame.length);
  bytes.set(frame, 12);
  markUnfinished(new DataView(bytes.buffer), 0, frame.length);
  return bytes.subarray(0, 12);
}

function field(header: Uint8Array, at: number): number {
  return (header[at] ?? 0) | ((header[at + 1] ?? 0) << 8);
}

describe('an unfinished checksum', () => {
  test.each([
    ['UDP', UDP, 34, 6],
    ['TCP', TCP, 34, 16],
    ['UDP in a VLAN', UDP.replace('08004500', '8100000a08004500'), 38, 6],
    ['UDP in two VLANs', UDP.replace('08004500', '88a800018100000a08004500'), 42, 6],
    ['UDP over IPv6', ipv6(0), 54, 6],
  ])('is recognised in %s', (_, frame, start, offset) => {
    const header = headerOf(frame);
    expect(header[0]).toBe(1);
    expect([field(header, 6), field(header, 8)]).toEqual([start, offset]);
  });

  test.each([
    ['a finished one', FINISHED],
    ['a finished one over IPv6', ipv6(1)],
    ['a fragment', UDP.replace('fe4d4000', 'fe4d2000')],
    ['another protocol', UDP.replace('40112871', '402f2871')],
    ['an address alone', UDP.slice(0, 24)],
    ['nothing after the type', UDP.slice(0, 28)],
    ['a header that is cut off', UDP.slice(0, 60)],
    ['a segment that is cut off', UDP.slice(0, 80)],
  ])('is not recognised in %s', (_, frame) => {
    expect(headerOf(frame).every((byte) => byte === 0)).toBe(true);
  });
});

/** One byte of UDP from fe80::1 to fe80::2, its checksum off the pseudo-header's by this much. */
function ipv6(difference: number): string {
  const address = (last: number) => `fe80${'0'.repeat(27)}${last}`;
  const sum = 2 * 0xfe80 + 1 + 2 + 17 + 9;
  const folded = (sum & 0xffff) + (sum >>> 16);
  const checksum = (folded + difference).toString(16).padStart(4, '0');
  const ip = `6000000000091140${address(1)}${address(2)}`;
  return `02000000000122f2272d712686dd${ip}000100020009${checksum}61`;
}
