import { afterEach, describe, expect, test } from 'vitest';
import {
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
} from '../../layout/virtio.ts';
import type { Guest } from '../../src/demo/guest/guest.ts';
import type { SwitchableFeature } from '../../src/functions/net/features.ts';
import { untilBalanced } from '../support/assert-balanced.ts';
import { canRunGuests, type Laboratory, type Special } from './laboratory.ts';
import {
  addressSix,
  datagrams,
  equalStream,
  featureBits,
  giveAddressSix,
  type IpVersion,
  offloadsOf,
  tcpMbps,
} from './offload-traffic.ts';
import { openLaboratory } from './suite.ts';

/** QEMU serves the control queue, so this feature is not ours to offer. */
const VIRTIO_NET_F_CTRL_GUEST_OFFLOADS = 2;
/** QEMU serves the control queue: a guest could turn offloads off without the NIC's knowledge. */
const NO_COMMANDS = 'ctrl_guest_offloads=off';
const OFFLOADS: SwitchableFeature[] = [
  ...(['CSUM', 'HOST_TSO4', 'HOST_TSO6', 'HOST_ECN', 'HOST_UFO', 'HOST_USO'] as const),
  ...(['GUEST_CSUM', 'GUEST_TSO4', 'GUEST_TSO6', 'GUEST_ECN', 'GUEST_UFO'] as const),
  ...(['GUEST_USO4', 'GUEST_USO6'] as const),
];
const OFF_IN_QEMU = [
  ...['csum', 'host_tso4', 'host_tso6', 'host_ecn', 'host_ufo'],
  ...['guest_csum', 'guest_tso4', 'guest_tso6', 'guest_ecn', 'guest_ufo', 'mrg_rxbuf'],
].map((name) => `${name}=off`);

/** Room for the file that some guests send. */
const memoryMiB = 640;
const ON: Special = { guest: { deviceProperties: [NO_COMMANDS], memoryMiB } };
/** Two ways to have no offloads: the VF does not offer them, or QEMU does not. */
const OFF_BY_VF: Special = { vf: { disabledFeatures: OFFLOADS }, ...ON };
const OFF_BY_QEMU: Special = {
  guest: { deviceProperties: [NO_COMMANDS, ...OFF_IN_QEMU], memoryMiB },
};

describe('Linux guests with different offloads', () => {
  let lab: Laboratory;

  const special = { vm1: ON, vm2: OFF_BY_VF, vm3: ON, vm4: OFF_BY_QEMU };
  openLaboratory({ guests: 4, special }, async (opened) => {
    lab = opened;
    for (const name of ['vm1', 'vm2', 'vm3', 'vm4']) await giveAddressSix(lab.guest(name));
  });
  afterEach(async () => {
    if (!canRunGuests) return;
    await untilBalanced(lab.nic);
    // Every frame could be completed for its receiver. Only a burst may have caused these drops.
    for (const { rx, tx } of lab.nic.stats().vfs) {
      const reasons = [...Object.keys(tx.drops), ...Object.keys(rx.drops)];
      const harmless = ['ringFull', 'noDestination', 'destinationDown'];
      expect(reasons.filter((reason) => !harmless.includes(reason))).toEqual([]);
    }
  });

  function pair(from: string, to: string): readonly [Guest, Guest] {
    return [lab.guest(from), lab.guest(to)];
  }

  function received(name: string) {
    const vf = lab.nic.stats().vfs.find((one) => one.name === name);
    if (vf === undefined) throw new Error(`no VF ${name}`);
    return vf.rx;
  }

  test('see them in ethtool -k', async () => {
    const whatIsSent = ['tx-checksum-ip-generic', 'tx-tcp-segmentation', 'tx-tcp6-segmentation'];
    for (const [name, state] of [
      ['vm1', 'on'],
      ['vm2', 'off [fixed]'],
      ['vm3', 'on'],
      ['vm4', 'off [fixed]'],
    ] as const) {
      const offloads = await offloadsOf(lab.guest(name));
      for (const feature of whatIsSent) expect(offloads[feature], `${name} ${feature}`).toBe(state);
      // In this kernel, ethtool is not reliable about receive offloads.
      const bits = await featureBits(lab.guest(name));
      const received = [VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6];
      expect(received.filter((bit) => bits.includes(bit))).toEqual(state === 'on' ? received : []);
      expect(bits.includes(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)).toBe(false);
    }
  });

  const PAIRS = [
    ['all on', 'vm1', 'vm3'],
    ['all off', 'vm2', 'vm4'],
    ['on to off', 'vm1', 'vm2'],
    ['off to on', 'vm2', 'vm1'],
    ['on to off without mergeable buffers', 'vm3', 'vm4'],
  ] as const;

  for (const [what, from, to] of PAIRS) {
    for (const version of [4, 6] as const satisfies readonly IpVersion[]) {
      test(`exchange TCP and UDP over IPv${version}, ${what}`, async () => {
        const [sender, receiver] = pair(from, to);
        const mbps = await tcpMbps(sender, receiver, version);
        console.log(`TCP over IPv${version}, ${what}: ${mbps.toFixed(0)} Mbit/s`);
        expect(mbps).toBeGreaterThan(10);
        for (const length of [1200, 8000]) {
          const { sent, lost } = await datagrams(sender, receiver, version, length);
          expect(sent).toBeGreaterThan(20);
          expect(lost).toBe(0);
        }
      });
    }
  }

  test('exchange super-frames, or segments if the receiver takes no super-frames', async () => {
    const [before, segmented] = [received('vm3'), received('vm2')];
    await tcpMbps(...pair('vm1', 'vm3'), 4);
    const after = received('vm3');
    expect(after.segments).toBe(before.segments);
    expect((after.bytes - before.bytes) / (after.packets - before.packets)).toBeGreaterThan(3000);
    await tcpMbps(...pair('vm1', 'vm2'), 4);
    expect(received('vm2').segments).toBeGreaterThan(segmented.segments + 1000);
  });

  test.each([
    ['vm1', 'vm2', 256],
    ['vm4', 'vm1', 64],
  ] as const)(
    'agree on the SHA-256 of a stream from %s to %s: %i MiB',
    async (from, to, mebibytes) => {
      await equalStream(...pair(from, to), { mebibytes });
    },
    120_000,
  );

  test('agree on the SHA-256 while ethtool -K toggles offloads at both ends', async () => {
    for (const [from, to] of [
      ['vm1', 'vm2'],
      ['vm1', 'vm3'],
    ] as const) {
      const toggles = await equalStream(...pair(from, to), {
        mebibytes: 64,
        toggled: ['tso', 'gso', 'tx', 'sg', 'gro'],
      });
      expect(toggles).toBeGreaterThan(1);
    }
  }, 120_000);

  test('exchange TCP with MTUs of 1500 and 9000 on one NIC', async () => {
    // Without mergeable buffers (vm4), Linux only has room for frames of the device's MTU.
    for (const name of ['vm1', 'vm2']) await lab.guest(name).run('ip link set eth0 mtu 9000');
    for (const [from, to] of [
      ['vm1', 'vm3'],
      ['vm3', 'vm1'],
      ['vm1', 'vm2'],
      ['vm1', 'vm4'],
      ['vm2', 'vm4'],
    ] as const) {
      for (const version of [4, 6] as const) {
        const mbps = await tcpMbps(...pair(from, to), version);
        expect(mbps, `${from} to ${to}, IPv${version}`).toBeGreaterThan(10);
      }
    }
    await lab.guest('vm2').run(`ping -c 2 -s 1400 ${addressSix('vm1')}`);
  });
});
