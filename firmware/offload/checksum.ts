// The Internet checksum (RFC 1071), 16 bytes per step. Sums stay unfolded in 32 or 64 bits for as
// long as possible. Byte order does not matter to a ones' complement sum, so words are added as
// little-endian.
import { Frame } from '../headers/frame';

/** The sum of the 16-bit words at an address; an odd last byte counts as the low half of a word. */
export function sumBytes(address: u32, length: u32): u64 {
  let at = address;
  const end = address + length;
  let sum: u64 = 0;
  if (length >= 64) {
    // Each lane grows by at most 4 × 2 × 65535 per step, so 2^32 / 2^19 steps of 64 bytes would
    // overflow it; a frame has 2^16 bytes.
    let lanes = i32x4.splat(0);
    const last = end - 64;
    while (at <= last) {
      const a = i32x4.extadd_pairwise_i16x8_u(v128.load(at));
      const b = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 16));
      const c = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 32));
      const d = i32x4.extadd_pairwise_i16x8_u(v128.load(at, 48));
      lanes = i32x4.add(lanes, i32x4.add(i32x4.add(a, b), i32x4.add(c, d)));
      at += 64;
    }
    sum += u64(u32(i32x4.extract_lane(lanes, 0))) + u64(u32(i32x4.extract_lane(lanes, 1)));
    sum += u64(u32(i32x4.extract_lane(lanes, 2))) + u64(u32(i32x4.extract_lane(lanes, 3)));
  }
  // 2^16 ≡ 1 (mod 2^16 − 1), so 32-bit words can be added as well.
  for (; at + 4 <= end; at += 4) sum += u64(load<u32>(at));
  if (at + 2 <= end) {
    sum += u64(load<u16>(at));
    at += 2;
  }
  if (at < end) sum += u64(load<u8>(at));
  return sum;
}

/** The sum of a part of a frame, in one piece or several. */
export function sumFrame(frame: Frame, offset: u32, length: u32): u64 {
  if (frame.address != 0) return sumBytes(frame.address + offset, length);
  let sum: u64 = 0;
  let entry = frame.pieces;
  let skip = offset;
  let done: u32 = 0;
  while (done < length) {
    const size = load<u32>(entry, 4);
    if (skip >= size) {
      skip -= size;
    } else {
      const piece = min(size - skip, length - done);
      const part = fold(sumBytes(load<u32>(entry) + skip, piece));
      // After an odd number of bytes, the halves of every word have changed places.
      sum += u64(done & 1 ? swap(part) : part);
      done += piece;
      skip = 0;
    }
    entry += 8;
  }
  return sum;
}

/** Folds a sum to 16 bits: carries are added at the bottom. */
export function fold(sum: u64): u32 {
  let folded = (sum & 0xffffffff) + (sum >> 32);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  return u32(folded);
}

/** Swaps the bytes of a 16-bit word: network order. */
export function swap(word: u32): u32 {
  return ((word & 0xff) << 8) | ((word >> 8) & 0xff);
}

/** Host: the checksum of a range, for tests against a reference. */
export function checksum(address: u32, length: u32): u32 {
  return ~fold(sumBytes(address, length)) & 0xffff;
}
