// Run by hand (`node scripts/complete-lock.mjs`) after `npm install` has changed package-lock.json.
// Packages with binaries have one optional package per platform. If a registry mirror has only some
// platforms, npm omits the others from the lock file, and then `npm ci` fails everywhere. This adds
// them again, without their hashes, which the mirror does not have.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './steps.mjs';

const path = join(root, 'package-lock.json');
const systems = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const processors = [
  'arm64',
  'arm',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
];

const lock = JSON.parse(readFileSync(path, 'utf8'));
const added = {};
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isLocked(parent, name)) continue;
    added[`node_modules/${name}`] = {
      version,
      ...cpuOf(name),
      ...(entry.dev ? { dev: true } : {}),
      ...libcOf(name),
      optional: true,
      ...osOf(name),
    };
  }
}
const sorted = Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => compare(a, b));
lock.packages = Object.fromEntries(sorted);
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`Added ${Object.keys(added).length} packages for other platforms.`);

function isLocked(parent, name) {
  return (
    `node_modules/${name}` in lock.packages || `${parent}/node_modules/${name}` in lock.packages
  );
}

// In npm's order, so that its next run changes nothing.

function cpuOf(name) {
  const cpu = processors.filter((processor) => wordsOf(name).includes(processor));
  return cpu.length > 0 ? { cpu } : {};
}

function libcOf(name) {
  return wordsOf(name).some((word) => word.startsWith('musl')) ? { libc: ['musl'] } : {};
}

function osOf(name) {
  const os = systems.filter((system) => wordsOf(name).includes(system));
  return os.length > 0 ? { os } : {};
}

function wordsOf(name) {
  return name.split('/').at(-1).split('-');
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}
