// Words that differ between versions of QEMU.

import { execFileSync } from 'node:child_process';

const ANSWER_MS = 5000;

let installed: { version: string | undefined } | undefined;

/**
 * What QEMU's `-chardev socket` is told of its part, by that of the NIC: to listen, or to connect,
 * and again each second when the socket went away. That is `reconnect` before QEMU 9.2, and then
 * `reconnect-ms`; QEMU 11 no longer knows the former. `version`: `7.2.22`, for example. Undefined
 * is taken for a new one.
 */
export function chardevRole(nicMode: 'server' | 'client', version: string | undefined): string {
  if (nicMode === 'client') return 'server=on,wait=off';
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const isOld = version !== undefined && (major < 9 || (major === 9 && minor < 2));
  return isOld ? 'reconnect=1' : 'reconnect-ms=1000';
}

/** The version of the qemu-system-x86_64 that is in the PATH; undefined if none answers. */
export function installedQemuVersion(): string | undefined {
  installed ??= { version: askQemu() };
  return installed.version;
}

function askQemu(): string | undefined {
  try {
    const options = { encoding: 'utf8', timeout: ANSWER_MS, stdio: 'pipe' } as const;
    return versionIn(execFileSync('qemu-system-x86_64', ['--version'], options));
  } catch {
    return undefined;
  }
}

/** `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)` */
export function versionIn(text: string): string | undefined {
  return /version (\d+(?:\.\d+)+)/.exec(text)?.[1];
}
