import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { driverModules, findKernel, moduleName, unpackerOf } from './kernel.ts';

let directory: string;
let boot: string;
let modulesRoot: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-kernel-'));
  [boot, modulesRoot] = [join(directory, 'boot'), join(directory, 'modules')];
  mkdirSync(boot);
});

afterEach(() => rmSync(directory, { recursive: true }));

function install(version: string, dependencies = ''): void {
  writeFileSync(join(boot, `vmlinuz-${version}`), '');
  mkdirSync(join(modulesRoot, version), { recursive: true });
  writeFileSync(join(modulesRoot, version, 'modules.dep'), dependencies);
}

describe('the kernel for guests', () => {
  it('is the newest of the small flavour, if there is one', () => {
    install('6.1.0-9-cloud-amd64');
    install('6.1.0-48-cloud-amd64');
    install('6.12.0-1-amd64');
    expect(findKernel(boot, modulesRoot)?.version).toBe('6.1.0-48-cloud-amd64');
  });

  it('is none whose modules are missing', () => {
    writeFileSync(join(boot, 'vmlinuz-6.1.0'), '');
    expect(findKernel(boot, modulesRoot)).toBeUndefined();
  });

  it('loads packed modules after what they need, and leaves out what is built in', () => {
    const net = 'kernel/net/virtio_net.ko.xz';
    install('6.12.0', `${net}: kernel/net_failover.ko.xz kernel/failover.ko.xz\n`);
    const paths = driverModules(findKernel(boot, modulesRoot)!);
    expect(paths.map(moduleName)).toEqual(['failover', 'net_failover', 'virtio_net']);
    expect(paths.map(unpackerOf)).toEqual(['xz', 'xz', 'xz']);
  });
});

it('names the program that unpacks a module', () => {
  const names = ['a.ko', 'a.ko.gz', 'a.ko.xz', 'a.ko.zst'];
  expect(names.map(unpackerOf)).toEqual([undefined, 'gzip', 'xz', 'zstd']);
});
