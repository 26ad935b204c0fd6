// RFC 1071 and the pseudo-headers, written for clarity: 16 bits at a time, big-endian.

/** The ones' complement sum of byte strings; all except the last must have an even length. */
export function onesSum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) {
      sum += ((part[at] as number) << 8) | (part[at + 1] ?? 0);
    }
  }
  return foldSum(sum);
}

/** Carries are added at the bottom (RFC 1071, 2). */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return folded;
}

/**
 * The pseudo-header of TCP and UDP. `ip`: the IP header with all its extension headers. RFC 9293,
 * 3.1 (IPv4) and RFC 8200, 8.1 (IPv6: the destination is the final one).
 */
export function pseudoSum(ip: Uint8Array, protocol: number, length: number): Uint8Array {
  const tail = Uint8Array.from([0, 0, (length >> 8) & 0xff, length & 0xff, 0, 0, 0, protocol]);
  if ((ip[0] as number) >> 4 === 4) return Buffer.concat([ip.subarray(12, 20), tail]);
  return Buffer.concat([ip.subarray(8, 24), finalDestination(ip), tail]);
}

/** A routing header with segments left holds the final destination instead of the IP header. */
function finalDestination(ip: Uint8Array): Uint8Array {
  let next = ip[6] as number;
  for (let at = 40; at < ip.length; ) {
    const size = ((ip[at + 1] as number) + 1) * 8;
    const [type, left] = [ip[at + 2], ip[at + 3] as number];
    if (next === 43 && left > 0) {
      // Segment routing (RFC 8754) lists the path backwards, all others forwards.
      const last = type === 4 ? at + 8 : at + size - 16;
      return ip.subarray(last, last + 16);
    }
    next = ip[at] as number;
    at += size;
  }
  return ip.subarray(24, 40);
}
