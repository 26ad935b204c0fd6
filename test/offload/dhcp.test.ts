import { afterEach, describe, expect, it } from 'vitest';
import { ALL_FEATURES } from './feature-sets.ts';
import { onesSum, pseudoSum } from './internet-checksum.ts';
import { OffloadWire } from './offload-wire.ts';
import { FINISHED, type Packet, packet } from './packets.ts';

const SERVER = 67;
const CLIENT = 68;
const UDP = 17;
const TAG = { type: 0x8100, control: 7 };

describe('a DHCP server’s reply with an incomplete checksum', () => {
  let wire: OffloadWire;

  afterEach(() => wire.close());

  function reply(from: number, changes: object = {}): Packet {
    const addresses = { to: wire.mac(1), from: wire.mac(0) };
    const shape = { ...addresses, version: 4, transport: 'udp', payloadLength: 300 } as const;
    const made = packet({ ...shape, ...changes });
    const view = new DataView(made.frame.buffer);
    view.setUint16(made.l4, from);
    view.setUint16(made.l4 + 2, CLIENT);
    return made;
  }

  function arrival(make: () => Packet) {
    wire = new OffloadWire([{ features: ALL_FEATURES }, { features: ALL_FEATURES }]);
    wire.postAll();
    const made = make();
    wire.sendPacket(0, made);
    wire.run();
    const [arrived] = wire.arrivals(1);
    if (arrived === undefined) throw new Error('nothing arrived');
    return { made, ...arrived };
  }

  it.each([
    ['', {}],
    [' after a tag', { tags: [TAG] }],
    [' after IP options', { ipOptions: Uint8Array.of(1, 1, 1, 1) }],
  ])('is completed even for a guest that accepts incomplete checksums%s', (_, changes) => {
    const { made, frame, header } = arrival(() => reply(SERVER, changes));
    expect(header).toEqual(FINISHED);
    const ip = frame.subarray(made.l3, made.l4);
    const udp = frame.subarray(made.l4);
    const sum = onesSum([pseudoSum(ip, UDP, udp.length), udp]);
    expect(sum, 'the sum is right').toBe(0xffff);
    const field = made.l4 + 6;
    expect(frame.subarray(0, field)).toEqual(made.frame.subarray(0, field));
    expect(frame.subarray(field + 2)).toEqual(made.frame.subarray(field + 2));
    expect(wire.host.stats().vfs[1]?.rx.checksums).toBe(1);
  });

  it('differs from frames that stay incomplete: a client’s request, TCP from that port, IPv6', () => {
    const others = [
      () => reply(CLIENT),
      () => reply(SERVER, { transport: 'tcp' }),
      () => reply(SERVER, { version: 6 }),
    ];
    for (const make of others) {
      const { made, frame, header } = arrival(make);
      expect(header).toEqual(made.header);
      expect(frame).toEqual(made.frame);
      wire.close();
    }
  });
});
