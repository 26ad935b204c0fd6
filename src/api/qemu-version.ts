// Words that differ between versions of QEMU, and between machines with and without KVM.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';

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
  return isOlder(version, 9, 2) ? 'reconnect=1' : 'reconnect-ms=1000';
}

/** Whether a version comes before another. Undefined is taken for a new one. */
export function isOlder(version: string | undefined, wanted: number, wantedMinor: number): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  return version !== undefined && (major < wanted || (major === wanted && minor < wantedMinor));
}

export type Accelerator = 'kvm' | 'tcg';

/** What QEMU can run a guest's code with on this machine, for this user. */
export function availableAccelerator(): Accelerator {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    // The device may be there without the CPU's part of it, as in some containers and VMs.
    const hasExtension = /\b(vmx|svm)\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
    return process.arch !== 'x64' || hasExtension ? 'kvm' : 'tcg';
  } catch {
    return 'tcg';
  }
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
