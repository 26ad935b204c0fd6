// Writes accounts. That of a function belongs to one processor; a group, and the NIC, have children
// on several, which then add to its account in turns (compare and swap).
import { FUNCTION_COUNT_MAX } from '../../layout/limits';

export function isShared(node: u32): bool {
  return node >= FUNCTION_COUNT_MAX;
}

/** Moves a time or a sum to `amount` after what it is, or after `oldest` if that is later. */
export function pay(node: u32, at: usize, oldest: f64, amount: f64): void {
  if (!isShared(node)) {
    store<f64>(at, max(load<f64>(at), oldest) + amount);
    return;
  }
  let old = atomic.load<u64>(at);
  while (true) {
    const paid = max(reinterpret<f64>(old), oldest) + amount;
    const found = atomic.cmpxchg<u64>(at, old, reinterpret<u64>(paid));
    if (found == old) return;
    old = found;
  }
}

export function count(node: u32, at: usize, amount: u64): void {
  if (isShared(node)) atomic.add<u64>(at, amount);
  else store<u64>(at, load<u64>(at) + amount);
}
