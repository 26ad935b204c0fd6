import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { findNetDevice, hardwareSpeed } from './net-device.ts';

/** A directory like /sys/class/net with one interface. */
function sysfs({ hasDevice, speed }: { hasDevice: boolean; speed?: string }): string {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-sysfs-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, 'eth0'));
  if (hasDevice) mkdirSync(join(directory, 'eth0/device'));
  if (speed !== undefined) writeFileSync(join(directory, 'eth0/speed'), speed);
  return directory;
}

it.each([
  ['of hardware', { hasDevice: true, speed: '25000\n' }, 25e9],
  ['of hardware that does not know it yet', { hasDevice: true, speed: '-1\n' }, 0],
  ['of hardware that does not tell', { hasDevice: true }, 0],
  ['that a veth or a TAP claims', { hasDevice: false, speed: '10000\n' }, 0],
])('the speed %s', (_, files, speed) => {
  expect(hardwareSpeed('eth0', sysfs(files))).toBe(speed);
});

it('the loopback interface is no hardware', () => {
  expect(findNetDevice('lo')).toMatchObject({ speed: 0 });
});
