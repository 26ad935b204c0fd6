// MAC addresses as text: validation, and derivation of a default.

import { createHash } from 'node:crypto';

/** A unicast address other than zero: the pattern in the JSON Schema. */
export const MAC_PATTERN = /^(?!00:00:00:00:00:00$)[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$/;

const SHAPE = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/;

/** Why MAC_PATTERN refuses an address, for the error message. */
export function macProblem(mac: string): string {
  if (!SHAPE.test(mac)) return 'this is not six hexadecimal bytes separated by colons';
  if (/^[0:]+$/.test(mac)) return 'this is zero';
  return 'this is a group address (the lowest bit of its first byte is set)';
}

/**
 * Stable: the same names give the same address on every machine and after every restart, so that a
 * guest keeps its leases and interface names. 02 means "locally administered, unicast"; the other
 * 40 bits are from a hash, so the chance of a collision among 256 VFs is 1 in 30 million.
 */
export function deriveMac(nicName: string, vfName: string): string {
  // The zero byte separates ('ab', 'c') from ('a', 'bc'); no name can contain it.
  const hash = createHash('sha256').update(`${nicName}\0${vfName}`).digest();
  return ['02', ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(
    ':',
  );
}
