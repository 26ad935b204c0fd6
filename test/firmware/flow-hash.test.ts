import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ethernetFrame, macOf, plainFrame, udpFrame } from '../../src/testing/frames.ts';
import { FirmwareHost } from '../support/firmware-host.ts';

const AT = 0x2000000;

describe('flowHash', () => {
  let host: FirmwareHost;

  beforeAll(() => {
    host = new FirmwareHost({ slotCount: 1 });
    host.mapPlain(AT, 4096);
  });

  function hash(frame: Uint8Array, slack = 0xee): number {
    host.bytes.fill(slack, AT, AT + 256);
    host.bytes.set(frame.subarray(0, 128), AT);
    return host.firmware.flowHash(AT, Math.min(frame.length, 112)) >>> 0;
  }

  const addresses = { to: macOf(1), from: macOf(2) };

  it('is equal for all frames of a flow, whatever their length, sequence and payload', () => {
    const numbers = fc.integer({ min: 0, max: 0x3fff });
    const property = fc.property(numbers, numbers, numbers, (flow, first, second) => {
      const base = { ...addresses, flow };
      const one = udpFrame({ ...base, sequence: first, seed: first, length: 60 + (first % 1400) });
      const two = udpFrame({ ...base, sequence: second, seed: second, length: 1514 });
      expect(hash(one)).toBe(hash(two, 0x11));
    });
    fc.assert(property);
  });

  // The verification suite for RSS hardware: source and destination with ports, and the hashes.
  const IPV4 = [
    ['66.9.149.187:2794', '161.142.100.80:1766', 0x51ccc178, 0x323e8fc2],
    ['199.92.111.2:14230', '65.69.140.83:4739', 0xc626b0ea, 0xd718262a],
    ['24.19.198.95:12898', '12.22.207.184:38024', 0x5c2b394a, 0xd2d0a5de],
    ['38.27.205.30:48228', '209.142.163.6:2217', 0xafc7327f, 0x82989176],
    ['153.39.163.191:44251', '202.188.127.2:1303', 0x10e828a2, 0x5d1809c5],
  ] as const;

  function ipv4(from: string, to: string, protocol: number): Uint8Array {
    const [[source, sourcePort], [target, targetPort]] = [from.split(':'), to.split(':')];
    const bytes = (text = '') => text.split('.').map(Number);
    const port = (text = '') => [Number(text) >> 8, Number(text) & 0xff];
    const header = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
    const ends = [...bytes(source), ...bytes(target), ...port(sourcePort), ...port(targetPort)];
    return ethernetFrame(addresses, 0x0800, Uint8Array.from([...header, ...ends, 0, 0, 0, 0]));
  }

  it.each(IPV4)('is the Toeplitz hash of RSS for %s to %s', (from, to, withPorts, without) => {
    expect(hash(ipv4(from, to, 6))).toBe(withPorts);
    expect(hash(ipv4(from, to, 17))).toBe(withPorts);
    expect(hash(ipv4(from, to, 47)), 'no ports in GRE').toBe(without);
  });

  it('is the Toeplitz hash of RSS for IPv6', () => {
    const words = (text: string) =>
      text.split(':').flatMap((word) => {
        const value = Number.parseInt(word, 16);
        return [value >> 8, value & 0xff];
      });
    const source = words('3ffe:2501:0200:1fff:0000:0000:0000:0007');
    const target = words('3ffe:2501:0200:0003:0000:0000:0000:0001');
    const ports = [2794 >> 8, 2794 & 0xff, 1766 >> 8, 1766 & 0xff];
    const packet = (next: number) =>
      Uint8Array.from([0x60, 0, 0, 0, 0, 20, next, 64, ...source, ...target, ...ports, 0, 0]);
    expect(hash(ethernetFrame(addresses, 0x86dd, packet(6)))).toBe(0x40207d3d);
    expect(hash(ethernetFrame(addresses, 0x86dd, packet(59)))).toBe(0x2cc18cd5);
  });

  it('skips VLAN tags', () => {
    const plain = ipv4('66.9.149.187:2794', '161.142.100.80:1766', 6);
    const tags = Uint8Array.from([0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 9]);
    const tagged = Uint8Array.from([...plain.subarray(0, 12), ...tags, ...plain.subarray(12)]);
    expect(hash(tagged)).toBe(0x51ccc178);
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

  it('reads nothing past a frame that ends within its headers', () => {
    for (let length = 14; length < 60; length++) {
      for (const type of [0x0800, 0x86dd, 0x8100, 0x88a8]) {
        const payload = new Uint8Array(length - 14).fill(0x45);
        const frame = ethernetFrame(addresses, type, payload);
        expect(hash(frame, 0x00), `${length} bytes of type ${type}`).toBe(hash(frame, 0xff));
      }
    }
  });

  it('hashes the addresses of frames that are not IP', () => {
    expect(hash(plainFrame(addresses, 64, 1))).toBe(hash(plainFrame(addresses, 900, 2)));
    const other = { to: macOf(1), from: macOf(3) };
    expect(hash(plainFrame(addresses, 64))).not.toBe(hash(plainFrame(other, 64)));
  });
});
