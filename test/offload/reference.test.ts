import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UNLIKE_LINUX } from './cases.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { onesSum } from './internet-checksum.ts';
import { OffloadWire } from './offload-wire.ts';
import { packet, superPacket } from './packets.ts';
import { findHeaders, segment, transportChecksum } from './reference.ts';

const ADDRESSES = { to: '02:00:00:00:00:02', from: '02:00:00:00:00:01' };

// Checks the reference itself against data from other sources.
describe('the reference', () => {
  it('computes the sum of the example in RFC 1071', () => {
    expect(onesSum([Uint8Array.from([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])])).toBe(
      0xddf2,
    );
  });

  it('computes a checksum with which the sum, pseudo-header included, is all ones', () => {
    // 192.168.0.2:1024 → 8.8.8.8:53, 22 bytes: who has "a.ch"?
    const frame = Buffer.from(
      '0200000000020200000000010800' +
        '4500003200004000401169a6c0a8000208080808' +
        '04000035001e0000' +
        '00010100000100000000000001610263680000010001',
      'hex',
    );
    const { l3, l4, payload } = findHeaders(frame);
    expect([l3, l4, payload]).toEqual([14, 34, 42]);
    const checksum = transportChecksum(frame);
    frame[40] = checksum >> 8;
    frame[41] = checksum & 0xff;
    const pseudo = Buffer.concat([frame.subarray(26, 34), Buffer.from([0, 17, 0, 30])]);
    expect(onesSum([pseudo, frame.subarray(34)])).toBe(0xffff);
  });

  it('divides 3000 bytes of TCP into the segments of RFC 9293', () => {
    const made = superPacket(
      { ...ADDRESSES, version: 4, transport: 'tcp', payloadLength: 3000, sequence: 0xfffffc00 },
      1460,
    );
    const parts = segment(made.frame, made.header, 0);
    expect(parts.map((part) => part.length)).toEqual([54 + 1460, 54 + 1460, 54 + 80]);
    const fields = parts.map((part) => {
      const view = new DataView(part.buffer, part.byteOffset);
      return [view.getUint16(16), view.getUint16(18), view.getUint32(38), view.getUint8(47)];
    });
    expect(fields).toEqual([
      [1500, 0x1234, 0xfffffc00, 0x10],
      [1500, 0x1235, 0x000001b4, 0x10],
      [120, 0x1236, 0x00000768, 0x18],
    ]);
  });

  it('leaves the sum of the pseudo-header in the field, like Linux', () => {
    const { frame, l4 } = packet({ ...ADDRESSES, version: 4, transport: 'udp', payloadLength: 4 });
    // 10.7.0.1 + 10.7.0.2 + 17 + 12
    expect((frame[l4 + 6] as number) * 256 + (frame[l4 + 7] as number)).toBe(
      0x0a07 + 0x0001 + 0x0a07 + 0x0002 + 17 + 12,
    );
  });
});

describe('where Linux differs', () => {
  let wire: OffloadWire;

  beforeAll(() => {
    const sender = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 4 };
    wire = new OffloadWire([sender, { features: PLAIN_FEATURES, frameSizeMax: 1600 }]);
    wire.postAll();
  });
  afterAll(() => wire.close());

  for (const { name, make } of UNLIKE_LINUX) {
    it(`${name}: the firmware equals the reference`, () => {
      const made = make({ to: wire.mac(1), from: wire.mac(0) });
      wire.sendPacket(0, made);
      wire.run();
      expect(arrivalProblem(made, wire.guest(1).features, wire.arrivals(1))).toBe('');
    });
  }
});
