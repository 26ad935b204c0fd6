// Short runs of other commands.

import { execFile, execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const commandMs = 70_000;
const execFileAsync = promisify(execFile);

/** The path of an executable, or null. Servers are in sbin, which a user's PATH often lacks. */
export function findCommand(name: string): string | null {
  const directories = (process.env.PATH ?? '').split(delimiter);
  for (const directory of [...directories, '/usr/sbin', '/sbin']) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next directory may have it.
    }
  }
  return null;
}

/** Runs a short command and returns its output. Throws if it fails. */
export function run(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: commandMs,
    env: { ...process.env, LC_ALL: 'C', ...env },
  }).trim();
}

/**
 * The same without blocking this process: for commands that wait for a child of this process, which
 * may in turn wait until this process reads its output.
 */
export async function runBeside(
  command: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<void> {
  const options = { timeout: commandMs, env: { ...process.env, LC_ALL: 'C', ...env } };
  await execFileAsync(command, args, options);
}

/** The version that a command prints, on one line; never fails. */
export function commandVersion(command: string, args: readonly string[]): string {
  try {
    return run(command, args).replaceAll('\n', ', ');
  } catch {
    return 'unknown version';
  }
}
