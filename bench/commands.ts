// Small questions to the machine's own commands.

import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const commandMs = 70_000;

/** The path of an executable, or null. Servers live in sbin, which users' PATH often lacks. */
export function findCommand(name: string): string | null {
  const directories = (process.env.PATH ?? '').split(delimiter);
  for (const directory of [...directories, '/usr/sbin', '/sbin']) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return null;
}

/** Runs a short command to its end and returns what it printed; its errors are the exception. */
export function run(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: commandMs,
    env: { ...process.env, LC_ALL: 'C', ...env },
  }).trim();
}

/** The lines that name a version, as one; a version is never worth a failure. */
export function commandVersion(command: string, args: readonly string[]): string {
  try {
    return run(command, args).replaceAll('\n', ', ');
  } catch {
    return 'unknown version';
  }
}
