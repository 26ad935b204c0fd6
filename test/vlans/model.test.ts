import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import type { VlanSettings } from '../../src/state/vlan.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import { type GuestOptions, MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { difference } from '../offload/packets.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { seedFromEnvironment } from '../support/seed.ts';
import { forward, type ModelPort } from './model.ts';
import { CUSTOMER, SERVICE, taggedFrame } from './tags.ts';

const SEED = seedFromEnvironment(9);
const PORTS = 6;
/** Runs of one NIC, which is configured anew for each. */
const RUNS = 150;

/** Only a few VLANs, so that ports share them. */
const vlan = fc.constantFrom(1, 2, 10, 20, 4094);
const common = {
  priority: fc.option(fc.nat(7), { nil: undefined }),
  protocol: fc.constantFrom<VlanSettings['protocol']>(undefined, '802.1Q', '802.1ad'),
};
const trunk = fc.record({
  trunk: fc.oneof(
    fc.constant('all' as const),
    fc.uniqueArray(vlan, { minLength: 1, maxLength: 4 }),
  ),
  nativeAt: fc.option(fc.nat(3), { nil: undefined }),
  ...common,
});
const settings: fc.Arbitrary<VlanSettings> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({}) },
  { weight: 3, arbitrary: fc.record({ access: vlan, ...common }) },
  {
    weight: 3,
    arbitrary: trunk.map(({ nativeAt, ...rest }) => {
      if (nativeAt === undefined) return rest;
      const native = rest.trunk === 'all' ? [1, 2, 10, 20][nativeAt] : rest.trunk[nativeAt];
      return { ...rest, native };
    }),
  },
);

const tag = fc.record({
  type: fc.constantFrom(CUSTOMER, CUSTOMER, SERVICE),
  control: fc
    .tuple(fc.nat(15), fc.oneof(vlan, fc.constantFrom(0, 3, 4095)))
    .map(([upper, id]) => (upper << 12) | id),
});
const shot = fc.record({
  from: fc.nat(PORTS - 1),
  /** A port; PORTS: an unknown address; PORTS + 1: broadcast. */
  to: fc.nat(PORTS + 1),
  tags: fc.array(tag, { maxLength: 3 }),
  payloadLength: fc.constantFrom(0, 1, 46, 64, 400, 1400),
});

const GUESTS: Readonly<Record<string, GuestOptions>> = {
  'split rings': {},
  'packed rings': { packed: true },
  'buffers without merging': {
    features: MODERN_FEATURES.filter((bit) => bit !== VIRTIO_NET_F_MRG_RXBUF),
  },
  'small buffers': { bufferBytesMin: 80, bufferBytesMax: 200 },
};

function addressOf(ports: readonly ModelPort[], to: number): string {
  if (to === PORTS) return '02:99:00:00:00:01'; // belongs to no port
  return ports[to]?.mac ?? BROADCAST;
}

describe.each(Object.entries(GUESTS))('random ports and frames, %s', (_, options) => {
  it('match the model byte by byte', { timeout: 60_000 }, () => {
    const wire = new FirmwareWire(Array.from({ length: PORTS }, () => options));
    wire.postAll();
    const property = fc.property(
      fc.array(settings, { minLength: PORTS, maxLength: PORTS }),
      fc.array(shot, { minLength: 1, maxLength: 12 }),
      (vlans, shots) => {
        for (const [number, one] of vlans.entries()) wire.host.setVlans(number, one);
        const ports = vlans.map((one, number) => ({ mac: wire.mac(number), vlans: one }));
        for (const [seed, { from, to, ...rest }] of shots.entries()) {
          const addresses = { to: addressOf(ports, to), from: wire.mac(from) };
          const frame = taggedFrame({ ...addresses, ...rest, seed });
          const { heard, drop } = forward(ports, from, frame);
          const before = drop === undefined ? 0 : wire.drops(from, 'tx', drop);
          expect(wire.send(from, frame, 'random')).toBe(true);
          wire.run();
          heard.forEach((frames, number) => {
            expect(difference(wire.received(number), frames), `port ${number}`).toBe('');
          });
          if (drop !== undefined) expect(wire.drops(from, 'tx', drop)).toBe(before + 1);
        }
      },
    );
    fc.assert(property, { seed: SEED, numRuns: RUNS });
    wire.close();
  });
});
