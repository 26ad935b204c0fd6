// The ports' addresses.

/** Ports 2n and 2n + 1 talk to each other. */
export function macs(port: number): { mac: Uint8Array; peerMac: Uint8Array } {
  const mac = (at: number) => Uint8Array.of(0x02, 0, 0, 0, 0x10, at);
  return { mac: mac(port), peerMac: mac(port ^ 1) };
}

/** `to`: whom the port sends to instead of its partner. */
export function addressesOf(port: number, to?: number | 'all') {
  const own = macs(port);
  if (to === undefined) return own;
  const peerMac = to === 'all' ? new Uint8Array(6).fill(0xff) : macs(to).mac;
  return { ...own, peerMac };
}
