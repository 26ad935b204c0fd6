import { describe, expect, it } from 'vitest';
import {
  FLAG_NEED_REPLY,
  FLAG_REPLY,
  FrontendRequest,
  HEADER_SIZE,
  readHeader,
  readMemoryRegion,
  readU64,
  readVringAddress,
  readVringState,
  requestName,
  VERSION,
  writeMemoryRegion,
  writeMessage,
  writeU64,
  writeVringAddress,
  writeVringState,
} from './message.ts';

// Captured from the socket while the network boot ROM of QEMU 7.2 drove the device.
const CAPTURED = {
  GET_FEATURES: '010000000100000000000000',
  SET_FEATURES: '0200000001000000080000000000004001000000',
  SET_PROTOCOL_FEATURES: '10000000010000000800000039a0010000000000',
  SET_BACKEND_REQ_FD: '150000000900000000000000',
  ADD_MEM_REG:
    '250000000900000028000000000000000000000000000c00000000000000f40300000000' +
    '00f00bb8587f000000000c0000000000',
  SET_VRING_NUM: '0800000001000000080000000100000000010000',
  SET_VRING_ADDR:
    '09000000010000002800000001000000000000000010f6bb587f00000030f6bb587f0000' +
    '0020f6bb587f00000040f60300000000',
  SET_VRING_KICK: '0c00000001000000080000000100000000000000',
  SET_STATUS: '2700000001000000080000000f00000000000000',
} as const;

function bytesOf(name: keyof typeof CAPTURED): { header: Uint8Array; payload: Uint8Array } {
  const message = Uint8Array.from(Buffer.from(CAPTURED[name], 'hex'));
  return { header: message, payload: message.slice(HEADER_SIZE) };
}

function hex(message: Uint8Array): string {
  return Buffer.from(message).toString('hex');
}

describe('captured messages', () => {
  it.each(Object.keys(CAPTURED) as (keyof typeof CAPTURED)[])(
    '%s has the expected header',
    (name) => {
      const { header, payload } = bytesOf(name);
      const { request, flags, size } = readHeader(header);
      expect(requestName(request)).toBe(name);
      expect(request).toBe(FrontendRequest[name]);
      expect(flags & ~FLAG_NEED_REPLY).toBe(VERSION);
      expect(size).toBe(payload.length);
    },
  );

  it.each(Object.keys(CAPTURED) as (keyof typeof CAPTURED)[])('%s is reproduced', (name) => {
    const { header, payload } = bytesOf(name);
    const { request, flags } = readHeader(header);
    expect(hex(writeMessage(request, flags, payload))).toBe(CAPTURED[name]);
  });

  it('a memory region follows 8 bytes of padding', () => {
    const { payload } = bytesOf('ADD_MEM_REG');
    const region = readMemoryRegion(payload, 8);
    expect(region).toEqual({
      guestAddress: 0xc0000n,
      sizeBytes: 0x3f40000n,
      userAddress: 0x7f58_b80b_f000n,
      fileOffset: 0xc0000n,
    });
    expect(hex(writeMemoryRegion(region))).toBe(hex(payload.slice(8)));
  });

  it('in the addresses of a ring, used comes before avail', () => {
    const { payload } = bytesOf('SET_VRING_ADDR');
    const address = readVringAddress(payload);
    expect(address).toEqual({
      index: 1,
      flags: 0,
      descriptors: 0x7f58_bbf6_1000n,
      used: 0x7f58_bbf6_3000n,
      avail: 0x7f58_bbf6_2000n,
      log: 0x3f64000n,
    });
    expect(hex(writeVringAddress(address))).toBe(hex(payload));
  });

  it('the size of a ring follows its index', () => {
    const { payload } = bytesOf('SET_VRING_NUM');
    expect(readVringState(payload)).toEqual({ index: 1, number: 256 });
    expect(hex(writeVringState(1, 256))).toBe(hex(payload));
  });

  it('feature bits above 31 are kept', () => {
    const { payload } = bytesOf('SET_FEATURES');
    expect(readU64(payload)).toBe((1n << 32n) | (1n << 30n));
    expect(hex(writeU64((1n << 32n) | (1n << 30n)))).toBe(hex(payload));
  });
});

describe('a message', () => {
  it('is read from the middle of a larger buffer', () => {
    const padded = Buffer.from(`ffff${CAPTURED.SET_VRING_NUM}`, 'hex');
    const view = new Uint8Array(padded.buffer, padded.byteOffset + 2, 20);
    expect(readHeader(view)).toEqual({ request: 8, flags: 1, size: 8 });
  });

  it('carries the version next to any other flags', () => {
    const reply = writeMessage(FrontendRequest.GET_FEATURES, FLAG_REPLY, writeU64(5n));
    expect(hex(reply)).toBe('0100000005000000080000000500000000000000');
  });

  it('with an unknown number has no name', () => {
    for (const id of [0, 28, 33, 41, 0xffffffff]) expect(requestName(id)).toBeUndefined();
  });
});
