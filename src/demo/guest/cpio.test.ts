import { expect, test } from 'vitest';
import { archive, directory, file, symbolicLink } from './cpio.ts';

/** Walks the archive as the kernel does. */
function entriesOf(bytes: Buffer): { name: string; mode: number; contents: string }[] {
  const entries = [];
  let offset = 0;
  while (offset < bytes.length) {
    expect(bytes.toString('latin1', offset, offset + 6)).toBe('070701');
    const field = (index: number): number => {
      const start = offset + 6 + 8 * index;
      return Number.parseInt(bytes.toString('latin1', start, start + 8), 16);
    };
    const nameLength = field(11);
    const contentsLength = field(6);
    const contentsAt = (offset + 110 + nameLength + 3) & ~3;
    entries.push({
      name: bytes.toString('latin1', offset + 110, offset + 110 + nameLength - 1),
      mode: field(1),
      contents: bytes.toString('latin1', contentsAt, contentsAt + contentsLength),
    });
    offset = (contentsAt + contentsLength + 3) & ~3;
  }
  return entries;
}

test('an archive holds files, links and the directories they need', () => {
  const bytes = archive([
    file('init', '#!/bin/sh\n'),
    file('usr/lib/x.so', 'x', 0o644),
    directory('tmp'),
    symbolicLink('bin/sh', 'busybox'),
  ]);
  expect(entriesOf(bytes)).toEqual([
    { name: 'bin', mode: 0o040755, contents: '' },
    { name: 'usr', mode: 0o040755, contents: '' },
    { name: 'usr/lib', mode: 0o040755, contents: '' },
    { name: 'init', mode: 0o100755, contents: '#!/bin/sh\n' },
    { name: 'usr/lib/x.so', mode: 0o100644, contents: 'x' },
    { name: 'tmp', mode: 0o040755, contents: '' },
    { name: 'bin/sh', mode: 0o120777, contents: 'busybox' },
    { name: 'TRAILER!!!', mode: 0, contents: '' },
  ]);
});

test('the same entries give the same bytes', () => {
  expect(archive([file('a', 'b')]).equals(archive([file('a', 'b')]))).toBe(true);
});
