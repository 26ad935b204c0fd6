import { expect, it } from 'vitest';
import { reconnectOption, versionIn } from './qemu-version.ts';

it('says in which words QEMU connects again', () => {
  const words = ['7.2.22', '9.1.3', '9.2', '10.0.13', '11.1.3', undefined].map(reconnectOption);
  const [old, recent] = ['reconnect=1', 'reconnect-ms=1000'];
  expect(words).toEqual([old, old, recent, recent, recent, recent]);
});

it('reads the version that QEMU prints', () => {
  expect(versionIn('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)')).toBe('7.2.22');
  expect(versionIn('QEMU emulator version 11.0.50\nCopyright (c) 2003-2026')).toBe('11.0.50');
  expect(versionIn('usage: qemu')).toBeUndefined();
});
