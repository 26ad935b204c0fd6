// The ports' addresses.

/** Ports 2n and 2n + 1 talk to each other. */
export function macs(port: number): { mac: Uint8Array; peerMac: Uint8Array } {
  const mac = (at: number) => Uint8Array.of(0x02, 0, 0, 0, 0x10, at);
  return { mac: mac(port), peerMac: mac(port ^ 1) };
}
