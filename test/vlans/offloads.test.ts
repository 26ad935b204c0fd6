import { describe, expect, it } from 'vitest';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { arrivalProblem } from '../offload/expectations.ts';
import { FORMATS, guestOptions, type Party, partyName, senderOptions } from '../offload/matrix.ts';
import { OffloadWire } from '../offload/offload-wire.ts';
import {
  datagramToFragment,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
} from '../offload/packets.ts';
import { SERVICE, type Tag, tag } from './tags.ts';

const PARTIES: readonly Party[] = FORMATS.flatMap((format) =>
  ([true, false] as const).flatMap((isMergeable) =>
    (['off', 'checksum', 'tso4', 'on'] as const).map((offloads) => ({
      ...{ offloads, isMergeable, format },
    })),
  ),
);

interface Way {
  name: string;
  from: VlanSettings;
  to: VlanSettings;
  sent: readonly Tag[];
  heard: readonly Tag[];
}

const INNER = tag(7, 2);
const WAYS: readonly Way[] = [
  { name: 'untouched', from: { access: 10 }, to: { access: 10 }, sent: [], heard: [] },
  {
    ...{ name: 'pushed', from: { access: 10, priority: 5 }, to: { trunk: [10] } },
    ...{ sent: [], heard: [tag(10, 5)] },
  },
  { name: 'popped', from: { trunk: 'all' }, to: { access: 10 }, sent: [tag(10, 5)], heard: [] },
  {
    ...{ name: 'kept', from: { trunk: [10] }, to: { trunk: 'all', native: 4 } },
    ...{ sent: [tag(10, 1)], heard: [tag(10, 1)] },
  },
  {
    ...{ name: 'written for a priority', from: { access: 10 }, to: { trunk: [10] } },
    ...{ sent: [tag(0, 4)], heard: [tag(10, 4)] },
  },
  {
    ...{ name: 'replaced', from: { trunk: [10] }, to: { trunk: [10], protocol: '802.1ad' } },
    ...{ sent: [tag(10, 1), INNER], heard: [tag(10, 1, SERVICE), INNER] },
  },
  {
    ...{ name: 'pushed before another' },
    ...{ from: { access: 10, protocol: '802.1ad' }, to: { trunk: [10], protocol: '802.1ad' } },
    ...{ sent: [INNER], heard: [tag(10, 0, SERVICE), INNER] },
  },
  {
    ...{ name: 'popped before another' },
    ...{ from: { trunk: [10], protocol: '802.1ad' }, to: { access: 10 } },
    ...{ sent: [tag(10, 0, SERVICE), INNER], heard: [INNER] },
  },
];

/** The same packet as sent and as expected: only its tags differ. */
type Make = (shape: PacketShape) => Packet;

const SHOTS: readonly [string, Partial<PacketShape>, Make][] = ([4, 6] as const).flatMap(
  (version): [string, Partial<PacketShape>, Make][] => [
    [`checksum, TCP over IPv${version}`, { version }, packet],
    [`TSO over IPv${version}`, { version, payloadLength: 4999 }, (one) => superPacket(one, 1400)],
    [
      `USO over IPv${version}`,
      { version, transport: 'udp', payloadLength: 3000 },
      (one) => superPacket(one, 1200),
    ],
    [
      `UFO over IPv${version}`,
      { version, transport: 'udp', payloadLength: 3000 },
      (one) => datagramToFragment(one, 1480),
    ],
  ],
);

describe.each(WAYS)('a tag that is $name', (way) => {
  it.each(PARTIES)('keeps offloads correct for $offloads $isMergeable $format', (party) => {
    const sender = senderOptions({ ...party, offloads: 'on' });
    const wire = new OffloadWire([sender, guestOptions(party)]);
    wire.postAll();
    wire.host.setVlans(0, way.from);
    wire.host.setVlans(1, way.to);
    for (const [name, partial, make] of SHOTS) {
      for (const layout of ['shared', 'split', 'random'] as const) {
        const common = { to: wire.mac(1), from: wire.mac(0), transport: 'tcp' as const };
        const shape = { version: 4 as const, payloadLength: 1337, ...common, ...partial };
        wire.sendPacket(0, make({ ...shape, tags: way.sent }), layout);
        wire.run();
        const expected = make({ ...shape, tags: way.heard });
        const { features } = wire.guest(1);
        const problem = arrivalProblem(expected, features, wire.arrivals(1));
        expect(problem, `${name}, ${layout}, for ${partyName(party)}`).toBe('');
      }
    }
    expect([wire.allDrops(0), wire.allDrops(1)]).toEqual([{}, {}]);
    wire.close();
  });
});
