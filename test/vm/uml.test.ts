import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNic, type Nic } from '../../src/index.ts';
import { untilBalanced } from '../support/assert-balanced.ts';
import { missingForUml, UmlGuest } from './uml-guest.ts';

const missing = missingForUml();

const SERVER = `
iperf3 --server --daemon
until busybox netstat -ltn | busybox grep -q :5201; do busybox usleep 20000; done
echo LISTENS`;

const CLIENT = `
echo "FEATURES $(cat /sys/bus/virtio/devices/virtio0/features)"
busybox ping -c 10 -i 0.1 -W 2 10.0.0.2
iperf3 --json --interval 0 --client 10.0.0.2 --time 2
iperf3 --json --interval 0 --client 10.0.0.2 --time 2 --reverse
echo DONE`;

describe('two User-Mode Linux guests on one NIC', () => {
  let nic: Nic;
  let directory: string;
  const guests: UmlGuest[] = [];

  beforeEach(async ({ skip }) => {
    skip(missing.length > 0, `User-Mode Linux needs ${missing.join(', ')}`);
    directory = await mkdtemp(join(tmpdir(), 'heddle-uml-'));
    const vfs = ['vm1', 'vm2'].map((name) => {
      // Its memory is an unsealed file, and its call descriptors are pipes.
      return { name, socket: join(directory, `${name}.sock`), allowUnsealedMemory: true };
    });
    nic = await createNic({ name: 'nic0', vfs });
  });

  afterEach(async () => {
    if (missing.length > 0) return;
    await Promise.all(guests.splice(0).map((guest) => guest.close()));
    await nic.close();
    await rm(directory, { recursive: true, force: true });
  });

  function boot(name: string, address: string, script: string): UmlGuest {
    const guest = new UmlGuest(nic.vf(name), directory, address, script);
    guests.push(guest);
    return guest;
  }

  // With all features that a VF offers by default: the guest accepts whatever it is offered.
  test('ping each other and stream TCP in both directions', async () => {
    const server = boot('vm2', '10.0.0.2', SERVER);
    await server.printed(/^LISTENS/m);
    const client = boot('vm1', '10.0.0.1', CLIENT);
    const [, features = ''] = await client.printed(/^FEATURES ([01]{64})/m);
    expect(nic.vf('vm1').features).toContain('RING_PACKED');
    expect(nic.vf('vm1').features).not.toContain('ACCESS_PLATFORM');
    expect(features[34], 'RING_PACKED').toBe('1');
    const [, answered] = await client.printed(/10 packets transmitted, (\d+) packets received/);
    expect(answered).toBe('10');
    const [output] = await client.printed(/[\s\S]*^DONE/m);
    const rates = [...output.matchAll(/"sum_received":\s*{[^}]*"bits_per_second":\s*([\d.e+]+)/g)];
    expect(rates).toHaveLength(2);
    for (const [, bitsPerSecond] of rates) expect(Number(bitsPerSecond)).toBeGreaterThan(10e6);
    await untilBalanced(nic);
  }, 120_000);
});
