// Small questions to the machine's own commands.

import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const commandMs = 70_000;
const execFileAsync = promisify(execFile);

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

/**
 * The same without blocking this process: for commands that wait for one of its children, which
 * in turn may wait for this process to take what it prints.
 */
export async function runBeside(
  command: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<void> {
  const options = { timeout: commandMs, env: { ...process.env, LC_ALL: 'C', ...env } };
  await execFileAsync(command, args, options);
}

/** The lines that name a version, as one; a version is never worth a failure. */
export function commandVersion(command: string, args: readonly string[]): string {
  try {
    return run(command, args).replaceAll('\n', ', ');
  } catch {
    return 'unknown version';
  }
}
