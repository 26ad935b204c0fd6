// Needed before every atomic access to guest memory. V8's baseline compiler (seen in Node 20) has
// no trap handler for atomic instructions, so an atomic access to a PROT_NONE page kills the
// process. A plain load traps instead.

/** Traps if the page of this address is not mapped. */
export function touch(address: u32): void {
  load<u8>(address);
}
