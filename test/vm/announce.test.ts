import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { VIRTIO_NET_F_GUEST_ANNOUNCE } from '../../layout/virtio.ts';
import { TraceEnd } from '../support/trace-end.ts';
import { waitUntil } from '../support/wait-until.ts';
import type { Laboratory } from './laboratory.ts';
import { commandQemu } from './monitor.ts';
import { featureBits } from './offload-traffic.ts';
import { openLaboratory } from './suite.ts';

const ARP = 0x0806;
const [SENDER_MAC, SENDER_IP, TARGET_IP] = [22, 28, 38];

/** The MAC and IP address that a gratuitous ARP announces; null for other frames. */
function announcer(frame: Uint8Array): { mac: string; address: string } | null {
  const bytes = Buffer.from(frame);
  if (bytes.readUInt16BE(12) !== ARP) return null;
  const address = bytes.subarray(SENDER_IP, SENDER_IP + 4);
  if (!address.equals(bytes.subarray(TARGET_IP, TARGET_IP + 4))) return null;
  const mac = bytes
    .subarray(SENDER_MAC, SENDER_MAC + 6)
    .toString('hex')
    .replace(/..\B/g, '$&:');
  return { mac, address: address.join('.') };
}

describe('a guest that has migrated here', () => {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-announce-'));
  const monitorSocket = join(directory, 'monitor.sock');
  let lab: Laboratory;

  openLaboratory({ guests: 1, special: { vm1: { guest: { monitorSocket } } } }, (opened) => {
    lab = opened;
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  // At the end of a migration, QEMU requests the announcement in the same way as for this command.
  test('announces itself when its VMM requests it', async () => {
    expect(await featureBits(lab.guest('vm1'))).toContain(VIRTIO_NET_F_GUEST_ANNOUNCE);
    const trace = join(directory, 'out.pcapng');
    await lab.nic.addUplink({ name: 'world', type: 'null', trace });
    const end = new TraceEnd(trace);
    try {
      // Duplicate address detection may still be under way: only frames from now on count.
      const before = end.frames.length;
      const rounds = { initial: 50, max: 50, rounds: 3, step: 0 };
      await commandQemu(monitorSocket, 'announce-self', rounds);
      const announced = () => end.frames.slice(before).map(announcer).filter(Boolean);
      await waitUntil(
        () => announced().length > 0,
        () => ({ frames: end.frames.length }),
      );
      expect(announced()[0]).toEqual({ mac: lab.nic.vf('vm1').mac, address: '10.0.0.1' });
    } finally {
      end.close();
    }
  });
});
