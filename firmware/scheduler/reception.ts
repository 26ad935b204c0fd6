// What functions may receive: an uplink with a capacity, a VF with `rxMax`. Frames of a VF that may
// not go yet can wait in its ring; an uplink's, and copies of floods, cannot.
//
//   rxFree += bytes × ns/byte        in the future: closed
import { ACCOUNT_RX_FREE, ACCOUNT_RX_FREE_PACKETS } from '../../layout/scheduler';
import { accountOf, Promised, pauseOf, promiseOf } from './node';
import { pay } from './pay';
import { schedule } from './schedule';

export function isLimited(promise: Promised): bool {
  return promise.rxByteNs != 0 || promise.rxPacketNs != 0;
}

/** Until when a function has received all it may; not longer ago than its burst. */
export function closedUntil(number: u32, promise: Promised): f64 {
  const account = accountOf(number);
  let until: f64 = 0;
  if (promise.rxByteNs != 0) until = load<f64>(account, ACCOUNT_RX_FREE);
  if (promise.rxPacketNs != 0) until = max(until, load<f64>(account, ACCOUNT_RX_FREE_PACKETS));
  return max(until, schedule().clock - promise.rxBurstNs);
}

/** When to try again, for who found it closed. */
export function opensAt(number: u32): f64 {
  const promise = promiseOf(number);
  return closedUntil(number, promise) + pauseOf(promise.rxBurstNs);
}

/** `bytes` and `packets` as on the wire of the function that receives them. */
export function payReception(number: u32, bytes: u32, packets: u32): void {
  const promise = promiseOf(number);
  const account = accountOf(number);
  const oldest = schedule().clock - promise.rxBurstNs;
  const wire = f64(bytes) + f64(packets) * f64(promise.rxOverhead);
  if (promise.rxByteNs != 0) {
    pay(account + ACCOUNT_RX_FREE, oldest, wire * promise.rxByteNs);
  }
  if (promise.rxPacketNs != 0) {
    const paid = f64(packets) * promise.rxPacketNs;
    pay(account + ACCOUNT_RX_FREE_PACKETS, oldest, paid);
  }
}
