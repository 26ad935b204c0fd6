import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A kernel of the host's distribution, with its modules. */
export interface Kernel {
  readonly version: string;
  readonly image: string;
  readonly modules: string;
}

/** What an ordinary guest loads: virtio over PCI, the network driver and the entropy driver. */
const driverNames = ['virtio_pci', 'virtio_net', 'virtio_rng'];

/** The newest kernel that has its modules; a "cloud" kernel is preferred: it boots faster. */
export function findKernel(boot = '/boot', modulesRoot = '/lib/modules'): Kernel | undefined {
  if (!existsSync(boot)) return undefined;
  const versions = readdirSync(boot)
    .filter((name) => name.startsWith('vmlinuz-'))
    .map((name) => name.slice('vmlinuz-'.length))
    .filter((version) => existsSync(join(modulesRoot, version, 'modules.dep')))
    .filter((version) => isReadable(join(boot, `vmlinuz-${version}`)));
  versions.sort((a, b) => rank(b) - rank(a) || b.localeCompare(a, 'en', { numeric: true }));
  const version = versions[0];
  if (version === undefined) return undefined;
  return { version, image: join(boot, `vmlinuz-${version}`), modules: join(modulesRoot, version) };
}

/** Paths of the modules a guest loads, in an order in which insmod accepts them. */
export function driverModules(kernel: Kernel): string[] {
  const needs = new Map<string, string[]>();
  const pathOf = new Map<string, string>();
  for (const line of readFileSync(join(kernel.modules, 'modules.dep'), 'utf8').split('\n')) {
    const [path, dependencies] = line.split(':');
    if (path === undefined || dependencies === undefined) continue;
    // modules.dep lists dependencies in reverse loading order.
    needs.set(path, dependencies.trim().split(' ').filter(Boolean).reverse());
    pathOf.set(moduleName(path), path);
  }
  const ordered = new Set<string>();
  for (const name of driverNames) {
    const path = pathOf.get(name);
    if (path === undefined) continue; // Built into this kernel.
    for (const needed of needs.get(path) ?? []) ordered.add(needed);
    ordered.add(path);
  }
  return [...ordered].map((path) => join(kernel.modules, path));
}

const unpackers: Readonly<Record<string, string>> = { '.xz': 'xz', '.zst': 'zstd', '.gz': 'gzip' };

/** The program that unpacks a module to its standard output with `-dc`; undefined: uncompressed. */
export function unpackerOf(path: string): string | undefined {
  return unpackers[path.slice(path.lastIndexOf('.'))];
}

/** `…/virtio-rng.ko.xz` is the module `virtio_rng`. */
export function moduleName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1);
  return base.replace(/\.ko(\.\w+)?$/, '').replaceAll('-', '_');
}

function rank(version: string): number {
  return version.includes('cloud') ? 1 : 0;
}

/** On some distributions only root can read kernels. */
function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
