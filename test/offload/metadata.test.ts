import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_HOST_ECN,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_HOST_UFO,
  VIRTIO_NET_F_HOST_USO,
} from '../../layout/virtio.ts';
import { CASES } from './cases.ts';
import { arrivalProblem } from './expectations.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { LIES, ODDITIES, UNKNOWN_FLAGS } from './metadata-cases.ts';
import { OffloadWire } from './offload-wire.ts';
import { FINISHED, type Packet, packet } from './packets.ts';

const SENDER = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 4 };
const FINISHER = { features: PLAIN_FEATURES, frameSizeMax: 2000, queueSize: 4096, slots: 2200 };

describe('invalid metadata', () => {
  let wire: OffloadWire;

  beforeAll(() => {
    wire = new OffloadWire([SENDER, FINISHER, { ...SENDER, slots: 16 }]);
    wire.postAll();
  });
  afterAll(() => wire.close());
  afterEach(() => {
    for (const { pairs } of wire.guests) pairs[0]?.receive.checkIdleBuffers();
  });

  /** The changes of the drop counters. */
  function moves(act: () => void): Record<string, number> {
    const before = wire.allDrops(0);
    act();
    const after = Object.entries(wire.allDrops(0));
    const moved = after.map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
    return Object.fromEntries(moved.filter(([, count]) => count !== 0));
  }

  for (const { name, reason, make } of LIES) {
    for (const layout of ['shared', 'split'] as const) {
      it(`${name} is counted as ${reason} (${layout} buffers)`, () => {
        for (const to of [1, 2]) {
          const made = make({ to: wire.mac(to), from: wire.mac(0) });
          const moved = moves(() => {
            wire.sendPacket(0, made, layout);
            wire.run();
          });
          expect(moved).toEqual({ [`tx.${reason}`]: 1 });
          expect(wire.arrivals(to)).toEqual([]);
        }
      });
    }
  }

  for (const { name, make } of ODDITIES) {
    for (const layout of ['shared', 'split'] as const) {
      it(`${name} is valid (${layout} buffers)`, () => expectArrivals(make, layout));
    }
  }

  it('unknown flags are ignored', () => {
    const finished = { flags: UNKNOWN_FLAGS, headerLength: 7 };
    expectArrivals((addresses) => {
      const made = packet({ ...addresses, version: 4, transport: 'tcp', payloadLength: 50 });
      return { ...made, header: { ...FINISHED, ...finished } };
    });
  });

  it('unknown flags are not passed on', () => {
    for (const layout of ['shared', 'split'] as const) {
      const shape = { version: 4, transport: 'tcp', payloadLength: 50 } as const;
      const made = packet({ ...shape, to: wire.mac(2), from: wire.mac(0) });
      wire.sendPacket(0, { ...made, header: { ...made.header, flags: 0xff } }, layout);
      wire.run();
      expect(arrivalProblem(made, wire.guest(2).features, wire.arrivals(2))).toBe('');
    }
  });

  function expectArrivals(
    make: (addresses: { to: string; from: string }) => Packet,
    layout?: 'shared' | 'split',
  ): void {
    for (const to of [1, 2]) {
      const made = make({ to: wire.mac(to), from: wire.mac(0) });
      const isFinished = (made.header.flags & 1) === 0 && made.header.gsoType === 0;
      const meant = isFinished ? { ...made, header: FINISHED } : made;
      expect(
        moves(() => {
          wire.sendPacket(0, made, layout);
          wire.run();
        }),
      ).toEqual({});
      const { features } = wire.guest(to);
      expect(arrivalProblem(meant, features, wire.arrivals(to))).toBe('');
    }
  }
});

describe('an offload that was not negotiated', () => {
  const TAKEN_AWAY = [
    ['checksum', VIRTIO_NET_F_CSUM, /^checksum over IPv4: tcp$/],
    ['TSO over IPv4', VIRTIO_NET_F_HOST_TSO4, /^TCP over IPv4: plain$/],
    ['TSO over IPv6', VIRTIO_NET_F_HOST_TSO6, /^TCP over IPv6: plain$/],
    ['ECN', VIRTIO_NET_F_HOST_ECN, /^TCP over IPv4: ECN$/],
    ['UFO', VIRTIO_NET_F_HOST_UFO, /^UFO over IPv6: plain$/],
    ['USO', VIRTIO_NET_F_HOST_USO, /^USO over IPv4: plain$/],
  ] as const;

  for (const [name, feature, pattern] of TAKEN_AWAY) {
    it(`${name} is counted as headerOffload`, () => {
      const features = ALL_FEATURES.filter((one) => one !== feature);
      const wire = new OffloadWire([{ ...SENDER, features }, FINISHER]);
      wire.postAll();
      const found = CASES.find((one) => pattern.test(one.name));
      const made = found?.make({ to: wire.mac(1), from: wire.mac(0) });
      if (made === undefined) throw new Error(`no case ${pattern}`);
      wire.sendPacket(0, made);
      wire.run();
      expect(wire.allDrops(0)).toEqual({ 'tx.headerOffload': 1 });
      expect(wire.arrivals(1)).toEqual([]);
      wire.close();
    });
  }
});
