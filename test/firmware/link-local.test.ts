import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { macBytes } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { push, tag } from '../vlans/tags.ts';

const SIZE_MIN = 60;

/** A frame as a station sends it: addresses, then the following bytes, padded. */
function frameOf(to: string, from: string, hex: string): Uint8Array {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const frame = new Uint8Array(Math.max(SIZE_MIN, 12 + bytes.length));
  frame.set(macBytes(to), 0);
  frame.set(macBytes(from), 6);
  frame.set(bytes, 12);
  return frame;
}

/** Real frames by name: the group address, and the bytes after the addresses. */
const LINK_LOCAL: Readonly<Record<string, readonly [string, string]>> = {
  // Length 38, LLC 42 42 03, protocol 0, version 2, RST BPDU of a root bridge.
  'RSTP BPDU': [
    '01:80:c2:00:00:00',
    '0026 424203 0000 02 02 3c 8000525400123456 00000000 8000525400123456 8001 0000 1400 0200 0f00 00',
  ],
  // MAC control, PAUSE with a quantum of 0xffff.
  PAUSE: ['01:80:c2:00:00:01', '8808 0001 ffff'],
  // Slow protocols, LACP version 1: actor, partner and collector TLVs.
  LACPDU: [
    '01:80:c2:00:00:02',
    '8809 01 01 0114 ffff 020000000001 0009 00ff 0001 3d 000000' +
      '0214 0000 000000000000 0000 0000 0000 00 000000 0310 0000 000000000000000000000000 0000',
  ],
  // EAPOL start of an 802.1X supplicant.
  EAPOL: ['01:80:c2:00:00:03', '888e 01 01 0000'],
  // Chassis ID, port ID, time to live, end.
  LLDP: ['01:80:c2:00:00:0e', '88cc 0207 04 020000000001 0405 05 65746830 0602 0078 0000'],
  'the last one': ['01:80:c2:00:00:0f', '88b5 0000'],
};

const FORWARDED: Readonly<Record<string, string>> = {
  'after the last one': '01:80:c2:00:00:10',
  GVRP: '01:80:c2:00:00:21',
  'in another block': '01:80:c2:00:01:02',
  'of the next octet': '01:80:c3:00:00:02',
  CDP: '01:00:0c:cc:cc:cc',
};

let wire: FirmwareWire;

beforeEach(() => {
  wire = new FirmwareWire([{}, {}, {}]);
  wire.postAll();
});
afterEach(() => wire.close());

function heard(from: number, frame: Uint8Array): number[] {
  wire.send(from, frame);
  wire.run();
  return wire.guests.flatMap((_, number) => (wire.received(number).length > 0 ? [number] : []));
}

describe('link-local groups (IEEE 802.1Q, 8.6.3)', () => {
  for (const [name, [group, hex]] of Object.entries(LINK_LOCAL)) {
    it(`stay on their link: ${name}`, () => {
      const frame = frameOf(group, wire.mac(0), hex);
      expect(heard(0, frame)).toEqual([]);
      expect(heard(0, push(frame, tag(0, 7)))).toEqual([]);
      expect(heard(0, push(frame, tag(10)))).toEqual([]);
      expect(wire.allDrops(0)).toEqual({ 'tx.linkLocal': 3 });
    });

    it(`stay on their link in VLANs, too: ${name}`, () => {
      wire.host.setVlans(0, { trunk: [10, 20], native: 20 });
      wire.host.setVlans(1, { access: 10 });
      wire.host.setVlans(2, { access: 20 });
      const frame = frameOf(group, wire.mac(0), hex);
      expect(heard(0, frame)).toEqual([]);
      expect(heard(0, push(frame, tag(10)))).toEqual([]);
      expect(heard(1, frame)).toEqual([]);
      expect(wire.allDrops(0)).toEqual({ 'tx.linkLocal': 2 });
      expect(wire.allDrops(1)).toEqual({ 'tx.linkLocal': 1 });
    });
  }

  for (const [name, group] of Object.entries(FORWARDED)) {
    it(`are sixteen: ${name} is forwarded`, () => {
      expect(heard(0, frameOf(group, wire.mac(0), '88b5'))).toEqual([1, 2]);
      expect(wire.allDrops(0)).toEqual({});
    });
  }

  it('are recognised frame by frame within a batch', () => {
    const [group, hex] = LINK_LOCAL.LLDP as readonly [string, string];
    const lldp = frameOf(group, wire.mac(0), hex);
    const hello = frameOf('01:00:5e:00:00:05', wire.mac(0), '0800');
    for (const frame of [lldp, hello, hello, lldp, hello]) wire.send(0, frame);
    wire.run();
    expect(wire.received(1)).toEqual([hello, hello, hello]);
    expect(wire.allDrops(0)).toEqual({ 'tx.linkLocal': 2 });
  });
});
