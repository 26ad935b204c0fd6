// MAC addresses as text: the check of a given one, and the derivation of one that is not given.

import { createHash } from 'node:crypto';

/** A unicast address other than zero: the pattern that the JSON Schema carries. */
export const MAC_PATTERN = /^(?!00:00:00:00:00:00$)[0-9a-fA-F][02468aceACE](?::[0-9a-fA-F]{2}){5}$/;

const SHAPE = /^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}$/;

/** Why an address that MAC_PATTERN refuses is not usable, for the error message. */
export function macProblem(mac: string): string {
  if (!SHAPE.test(mac)) return 'this is not six bytes in hexadecimal with colons between them';
  if (/^[0:]+$/.test(mac)) return 'this one is zero';
  return 'this one is a group address (the lowest bit of its first byte is set)';
}

/**
 * Stable: the same names give the same address on every machine and after every restart, so that
 * a guest keeps its leases and interface names. 02 says "locally administered, unicast"; the other
 * 40 bits come from a hash, which makes a collision among 256 VFs a matter of 1 in 30 million.
 */
export function deriveMac(nicName: string, vfName: string): string {
  // The zero byte keeps ('ab', 'c') apart from ('a', 'bc'); no name can contain it.
  const hash = createHash('sha256').update(`${nicName}\0${vfName}`).digest();
  return ['02', ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(
    ':',
  );
}
