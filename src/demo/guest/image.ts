// The guest's whole file system, packed for the kernel: busybox, iperf3 and ethtool with the
// libraries they need, and the virtio modules. It is cached under the hash of its inputs.

import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheDirectory } from './cache.ts';
import { type ArchiveEntry, archive, directory, file, symbolicLink } from './cpio.ts';
import { initScript, loadDriversScript, networkScript } from './init-script.ts';
import { driverModules, type Kernel, moduleName, unpackerOf } from './kernel.ts';
import { findProgram } from './requirements.ts';

/** Increase it when this file changes what an image contains. */
const recipe = 3;

/** The path of an image for this kernel, built now or cached. */
export function guestImage(kernel: Kernel): string {
  const path = join(cacheDirectory(), `guest-${kernel.version}-${imageKey(kernel)}.cpio`);
  if (existsSync(path)) return path;
  mkdirSync(cacheDirectory(), { recursive: true });
  // Another process may be building the same image: the last rename wins, and both are equal.
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, archive(imageEntries(kernel)));
  renameSync(draft, path);
  return path;
}

function imageEntries(kernel: Kernel): ArchiveEntry[] {
  return [
    ...['proc', 'sys', 'dev', 'tmp', 'run', 'etc'].map(directory),
    file('init', initScript),
    file('bin/load-drivers', loadDriversScript),
    file('bin/network', networkScript),
    ...busyboxEntries(),
    ...dynamicProgramEntries(['iperf3', 'ethtool']),
    ...moduleEntries(kernel),
  ];
}

function busyboxEntries(): ArchiveEntry[] {
  const busybox = programPath('busybox');
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
  const links = applets.filter((name) => name !== '' && name !== 'busybox');
  return [
    file('bin/busybox', readFileSync(busybox)),
    ...links.map((name) => symbolicLink(`bin/${name}`, 'busybox')),
  ];
}

function dynamicProgramEntries(names: readonly string[]): ArchiveEntry[] {
  const libraries = new Set<string>();
  const programs = names.map((name) => {
    const path = programPath(name);
    for (const library of sharedLibraries(path)) libraries.add(library);
    return file(`bin/${name}`, readFileSync(path));
  });
  // A library keeps its path, so that the program's loader finds it without ld.so.cache.
  return [...programs, ...[...libraries].map((path) => file(path.slice(1), readFileSync(path)))];
}

function sharedLibraries(program: string): string[] {
  const listing = execFileSync('ldd', [program], { encoding: 'utf8' });
  const linked = [...listing.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string);
  // iperf3 (since 3.16) cancels threads, for which glibc loads a library that ldd does not list.
  const beside = linked.map((path) => join(dirname(path), 'libgcc_s.so.1')).filter(existsSync);
  return [...linked, ...beside];
}

function moduleEntries(kernel: Kernel): ArchiveEntry[] {
  const paths = driverModules(kernel);
  const names = paths.map((path) => `${moduleName(path)}.ko`);
  const files = paths.map((path, index) => file(`modules/${names[index]}`, moduleBytes(path)));
  return [...files, file('modules/order', `${names.join('\n')}\n`, 0o644)];
}

function moduleBytes(path: string): Buffer {
  const unpacker = unpackerOf(path);
  if (unpacker === undefined) return readFileSync(path);
  return execFileSync(programPath(unpacker), ['-dc', path], { maxBuffer: 64 << 20 });
}

function imageKey(kernel: Kernel): string {
  const hash = createHash('sha256').update(`${recipe} ${kernel.version}`);
  for (const text of [initScript, loadDriversScript, networkScript]) hash.update(text);
  for (const path of ['busybox', 'iperf3', 'ethtool'].map(programPath)) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}`);
  }
  return hash.digest('hex').slice(0, 12);
}

function programPath(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`Cannot build the guest's image: ${name} is missing`);
  return path;
}
