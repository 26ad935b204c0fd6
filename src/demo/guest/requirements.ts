import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { driverModules, findKernel, type Kernel, unpackerOf } from './kernel.ts';

/** Debian keeps some programs in directories that are not in an ordinary user's PATH. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

const guestPrograms = ['qemu-system-x86_64', 'busybox', 'iperf3', 'ethtool'];

/** The full path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const directory of [...directories, ...systemDirectories]) {
    const path = join(directory, name);
    if (isExecutable(path)) return path;
  }
  return undefined;
}

/** What this machine lacks to run a real Linux guest. */
export function missingForGuests(): string[] {
  const kernel = findKernel();
  const needed = [...guestPrograms, ...(kernel === undefined ? [] : unpackers(kernel))];
  const missing = needed.filter((name) => findProgram(name) === undefined);
  if (kernel === undefined) missing.push('a readable kernel image in /boot');
  return missing;
}

function unpackers(kernel: Kernel): Set<string> {
  const names = driverModules(kernel).map(unpackerOf);
  return new Set(names.filter((name) => name !== undefined));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
