// Options that differ between versions of QEMU, and between machines with and without KVM.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';

const ANSWER_MS = 5000;

let installed: { version: string | undefined } | undefined;

/**
 * QEMU's role in `-chardev socket`, given the NIC's: to listen, or to connect and reconnect every
 * second when the socket goes away. Reconnecting is `reconnect` before QEMU 9.2 and `reconnect-ms`
 * since; QEMU 11 no longer knows the former. `version` is, for example, `7.2.22`; undefined means a
 * new one.
 */
export function chardevRole(nicMode: 'server' | 'client', version: string | undefined): string {
  if (nicMode === 'client') return 'server=on,wait=off';
  return isOlder(version, 9, 2) ? 'reconnect=1' : 'reconnect-ms=1000';
}

/** Whether a version is older than another. Undefined means a new one. */
export function isOlder(version: string | undefined, wanted: number, wantedMinor: number): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  return version !== undefined && (major < wanted || (major === wanted && minor < wantedMinor));
}

export type Accelerator = 'kvm' | 'tcg';

/** The accelerator that QEMU can use on this machine, for this user. */
export function availableAccelerator(): Accelerator {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    // The device can exist without the CPU's support, as in some containers and VMs.
    const hasExtension = /\b(vmx|svm)\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
    return process.arch !== 'x64' || hasExtension ? 'kvm' : 'tcg';
  } catch {
    return 'tcg';
  }
}

/** The version of the qemu-system-x86_64 in PATH; undefined if there is none. */
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
