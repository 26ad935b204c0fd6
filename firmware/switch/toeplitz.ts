// The Toeplitz hash, as RSS hardware computes it (virtio 1.3, 5.1.6.4.3), by table: for each byte
// of the input and each value of it, the exclusive or of the key's windows under its set bits.
import { FLOW_TABLE_BASE } from '../../layout/memory';

/** Source and destination of IPv6, and two ports. */
export const TOEPLITZ_INPUT_MAX: u32 = 36;

// The key that drivers use by default, 40 bytes, as five big-endian words.
const KEY_0: u64 = 0x6d5a56da255b0ec2;
const KEY_1: u64 = 0x4167253d43a38fb0;
const KEY_2: u64 = 0xd0ca2bcbae7b30b4;
const KEY_3: u64 = 0x77cb2da38030f20c;
const KEY_4: u64 = 0x6a42b73bbeac01fa;

/** Once, before the first hash: 36 KiB of tables. */
export function fillFlowTable(): void {
  for (let byte: u32 = 0; byte < TOEPLITZ_INPUT_MAX; byte++) {
    for (let value: u32 = 0; value < 256; value++) {
      let hash: u32 = 0;
      for (let bit: u32 = 0; bit < 8; bit++) {
        if (value & (0x80 >> bit)) hash ^= keyWindow((byte << 3) + bit);
      }
      store<u32>(entry(byte, value), hash);
    }
  }
}

/** Adds `length` bytes at an address, which are the input's from `place` on, to a hash. */
export function toeplitz(hash: u32, address: u32, length: u32, place: u32): u32 {
  for (let i: u32 = 0; i < length; i++) {
    hash ^= load<u32>(entry(place + i, u32(load<u8>(address + i))));
  }
  return hash;
}

function entry(byte: u32, value: u32): u32 {
  return FLOW_TABLE_BASE + (((byte << 8) + value) << 2);
}

/** 32 bits of the key from bit `start` on. */
function keyWindow(start: u32): u32 {
  const word = start >> 6;
  const shift = start & 63;
  const high = keyWord(word) << shift;
  const low = shift == 0 ? 0 : keyWord(word + 1) >> (64 - shift);
  return u32((high | low) >> 32);
}

function keyWord(word: u32): u64 {
  if (word == 0) return KEY_0;
  if (word == 1) return KEY_1;
  if (word == 2) return KEY_2;
  if (word == 3) return KEY_3;
  return word == 4 ? KEY_4 : 0;
}
