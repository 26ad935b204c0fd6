import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { FirmwareHost } from '../support/firmware-host.ts';
import { ethernetFrame, macOf, plainFrame, udpFrame } from '../support/frames.ts';

const AT = 0x2000000;

describe('flowHash', () => {
  let host: FirmwareHost;

  beforeAll(() => {
    host = new FirmwareHost({ slotCount: 1 });
  });

  function hash(frame: Uint8Array, slack = 0xee): number {
    host.bytes.fill(slack, AT, AT + 256);
    host.bytes.set(frame.subarray(0, 128), AT);
    return host.firmware.flowHash(AT, Math.min(frame.length, 112)) >>> 0;
  }

  const addresses = { to: macOf(1), from: macOf(2) };

  it('is the same for all frames of a flow, whatever their length, sequence and payload', () => {
    const numbers = fc.integer({ min: 0, max: 0x3fff });
    const property = fc.property(numbers, numbers, numbers, (flow, first, second) => {
      const base = { ...addresses, flow };
      const one = udpFrame({ ...base, sequence: first, seed: first, length: 60 + (first % 1400) });
      const two = udpFrame({ ...base, sequence: second, seed: second, length: 1514 });
      expect(hash(one)).toBe(hash(two, 0x11));
    });
    fc.assert(property);
  });

  it('spreads flows over queues', () => {
    const queues = [0, 0, 0, 0];
    for (let flow = 0; flow < 1024; flow++) {
      const frame = udpFrame({ ...addresses, flow, sequence: 0, seed: 0, length: 64 });
      const queue = Math.floor((hash(frame) * 4) / 2 ** 32);
      queues[queue] = (queues[queue] ?? 0) + 1;
    }
    for (const count of queues) expect(count).toBeGreaterThan(150);
  });

  it('reads nothing behind a frame that ends within its headers', () => {
    for (let length = 14; length < 60; length++) {
      for (const type of [0x0800, 0x86dd, 0x8100, 0x88a8]) {
        const payload = new Uint8Array(length - 14).fill(0x45);
        const frame = ethernetFrame(addresses, type, payload);
        expect(hash(frame, 0x00), `${length} bytes of type ${type}`).toBe(hash(frame, 0xff));
      }
    }
  });

  it('hashes the addresses of what is not IP', () => {
    expect(hash(plainFrame(addresses, 64, 1))).toBe(hash(plainFrame(addresses, 900, 2)));
    const other = { to: macOf(1), from: macOf(3) };
    expect(hash(plainFrame(addresses, 64))).not.toBe(hash(plainFrame(other, 64)));
  });
});
