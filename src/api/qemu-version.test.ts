import { expect, it } from 'vitest';
import { chardevRole, versionIn } from './qemu-version.ts';

it('gives the option with which QEMU reconnects', () => {
  const versions = ['7.2.22', '9.1.3', '9.2', '10.0.13', '11.1.3', undefined];
  const words = versions.map((version) => chardevRole('server', version));
  const [old, recent] = ['reconnect=1', 'reconnect-ms=1000'];
  expect(words).toEqual([old, old, recent, recent, recent, recent]);
  expect(chardevRole('client', '7.2.22')).toBe('server=on,wait=off');
});

it('reads the version that QEMU prints', () => {
  expect(versionIn('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)')).toBe('7.2.22');
  expect(versionIn('QEMU emulator version 11.0.50\nCopyright (c) 2003-2026')).toBe('11.0.50');
  expect(versionIn('usage: qemu')).toBeUndefined();
});
