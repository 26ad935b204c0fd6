import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { mapCountMax, processLimit } from './limits.ts';

test('limits are those that the kernel reports', () => {
  const shell = execFileSync('/bin/sh', ['-c', 'ulimit -n; ulimit -v'], { encoding: 'utf8' });
  const [files, addressSpace] = shell.split('\n');
  expect(processLimit('Max open files')).toBe(Number(files));
  const expected = addressSpace === 'unlimited' ? Infinity : Number(addressSpace) * 1024;
  expect(processLimit('Max address space')).toBe(expected);
  const maps = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
  expect(mapCountMax()).toBe(maps);
});
