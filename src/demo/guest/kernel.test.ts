import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { driverModules, findKernel, moduleName, unpackerOf } from './kernel.ts';

let root = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'heddle-kernel-'));
  mkdirSync(join(root, 'boot'));
});
afterEach(() => rmSync(root, { recursive: true }));

function install(version: string, dependencies: string): void {
  writeFileSync(join(root, 'boot', `vmlinuz-${version}`), 'kernel');
  mkdirSync(join(root, 'modules', version), { recursive: true });
  writeFileSync(join(root, 'modules', version, 'modules.dep'), dependencies);
}

const find = () => findKernel(join(root, 'boot'), join(root, 'modules'));

test('chooses the newest cloud kernel that has its modules', () => {
  expect(find()).toBeUndefined();
  writeFileSync(join(root, 'boot', 'vmlinuz-9.0.0-cloud-amd64'), 'a kernel without modules');
  expect(find()).toBeUndefined();
  for (const version of ['6.1.0-9-cloud-amd64', '6.1.0-10-cloud-amd64', '6.2.0-1-amd64']) {
    install(version, '');
  }
  expect(find()?.version).toBe('6.1.0-10-cloud-amd64');
});

test('modules come after their dependencies; built-in ones are omitted', () => {
  install(
    '6.1.0',
    [
      'virtio_net.ko.xz: failover.ko virtio.ko virtio_ring.ko',
      'virtio.ko: virtio_ring.ko',
      'virtio_ring.ko:',
      'failover.ko:',
    ].join('\n'),
  );
  const names = driverModules(find()!).map(moduleName);
  expect(names).toEqual(['virtio_ring', 'virtio', 'failover', 'virtio_net']);
});

test('the suffix of a module says what unpacks it', () => {
  const names = ['a.ko', 'a.ko.gz', 'a.ko.xz', 'a.ko.zst'];
  expect(names.map(unpackerOf)).toEqual([undefined, 'gzip', 'xz', 'zstd']);
});
