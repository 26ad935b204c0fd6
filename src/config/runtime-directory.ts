// Where the sockets of a NIC are, if nobody says otherwise.

import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { operatorError } from '../errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** $XDG_RUNTIME_DIR/heddle; without a session (su, cron, containers) a directory in /tmp. */
export function runtimeDirectory(environment: Environment = process.env): string {
  const base = environment.XDG_RUNTIME_DIR;
  const isUsable = base?.startsWith('/') && isDirectory(base);
  return isUsable ? `${base}/heddle` : `/tmp/heddle-${userId()}`;
}

/** Also false if this user may not look there: after `su` the variable may be another user's. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Creates the directory if necessary, and refuses one in which others could create a socket. */
export function ensureRuntimeDirectory(directory: string): void {
  const refuse = (reason: string): never => {
    throw operatorError('HEDDLE_RUNTIME_DIRECTORY', { directory, reason });
  };
  try {
    mkdirSync(directory, { mode: 0o700 });
    return;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code !== 'EEXIST') refuse(`the system did not create it (${code})`);
  }
  // lstat: in /tmp, a link could lead anywhere.
  const status = lstatSync(directory);
  if (!status.isDirectory()) refuse('it is not a directory');
  if (status.uid !== userId()) refuse('it belongs to another user');
  if ((status.mode & 0o022) !== 0) refuse('others may write to it');
}

export function defaultControlSocket(environment: Environment = process.env): string {
  return environment.HEDDLE_CONTROL || `${runtimeDirectory(environment)}/control.sock`;
}

function userId(): number {
  return process.getuid?.() ?? 0;
}
