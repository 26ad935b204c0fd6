// Copies inside the linear memory. Never use `memory.copy`: V8 implements the bulk instructions in
// C++, where a PROT_NONE page kills the process, while a plain load or store on such a page is a
// trap that can be caught. (Biome cannot parse function decorators, so it skips this file.)

/**
 * Copies `length` bytes. Touches no byte outside the two ranges, since a window may end right after
 * them. Inlined: a call would take all registers from the hot loops that use it.
 */
// @ts-expect-error: a decorator of AssemblyScript
@inline
export function copy(to: u32, from: u32, length: u32): void {
  if (length < 16) {
    copyShort(to, from, length);
    return;
  }
  // The last 16 bytes are loaded first and may overlap what the loops copy, so no tail loop is
  // needed.
  const last = length - 16;
  const tail = v128.load(from + last);
  let done: u32 = 0;
  while (done + 64 <= length) {
    const a = v128.load(from + done);
    const b = v128.load(from + done, 16);
    const c = v128.load(from + done, 32);
    const d = v128.load(from + done, 48);
    v128.store(to + done, a);
    v128.store(to + done, b, 16);
    v128.store(to + done, c, 32);
    v128.store(to + done, d, 48);
    done += 64;
  }
  while (done < last) {
    v128.store(to + done, v128.load(from + done));
    done += 16;
  }
  v128.store(to + last, tail);
}

/** The same, into a guest's buffer: see write.ts. */
// @ts-expect-error: a decorator of AssemblyScript
@inline
export function copyToGuest(to: u32, from: u32, length: u32): void {
  copy(to, from, length);
}

function copyShort(to: u32, from: u32, length: u32): void {
  if (length >= 8) {
    const last = length - 8;
    const tail = load<u64>(from + last);
    store<u64>(to, load<u64>(from));
    store<u64>(to + last, tail);
    return;
  }
  for (let i: u32 = 0; i < length; i++) store<u8>(to + i, load<u8>(from + i));
}
