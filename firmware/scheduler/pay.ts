// Writes accounts. Several processors may write to the same one (of a group, of the NIC, of an
// uplink, or what a VF receives), and take turns then: compare and swap.
import { isOneOfSeveral } from '../virtqueue/lock';

/** Moves a time or a sum to `amount` after what it is, or after `oldest` if that is later. */
export function pay(at: usize, oldest: f64, amount: f64): void {
  if (!isOneOfSeveral()) {
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

export function count(at: usize, amount: u64): void {
  if (isOneOfSeveral()) atomic.add<u64>(at, amount);
  else store<u64>(at, load<u64>(at) + amount);
}
