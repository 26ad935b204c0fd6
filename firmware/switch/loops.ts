// Detects two uplinks into the same network. What is flooded to both returns through each from the
// other and circulates: the same source appears at both, many times a second. Only frames to groups
// count: a host whose bond spreads its frames over two links sends few of these.
import { FLAPS_MAX } from '../../layout/limits';
import { FDB_FLAPS } from '../../layout/switch';
import { isGroup } from '../headers/addresses';
import { portRecordAt } from '../memory/port-record';
import { registers } from '../memory/registers';
import { stamp, stampOf } from './fdb-set';

let reportedAt: u32 = 0;

/** Another port's address was seen as a source at `port`. Called before its stamp is renewed. */
export function noteElsewhere(set: u32, way: u32, port: u32, target: u64): void {
  if (!isGroup(target) || portRecordAt(port).isUplink == 0) return;
  const now = registers().nowSeconds;
  const was = u32(atomic.load<u16>(flapAt(set, way), FDB_FLAPS));
  const isSameSecond = stampOf(set, way) == now;
  if (!isSameSecond) stamp(set, way, now);
  if (was >> 8 == port && isSameSecond) return;
  const flaps = isSameSecond ? min(was & 0xff, FLAPS_MAX) + 1 : 1;
  atomic.store<u16>(flapAt(set, way), u16((port << 8) | flaps), FDB_FLAPS);
  if (flaps == FLAPS_MAX) report(port, was >> 8);
}

/** Called with a new stamp, when the address was seen at its own port. */
export function clearFlaps(set: u32, way: u32): void {
  atomic.store<u16>(flapAt(set, way), 0, FDB_FLAPS);
}

/** At most once a second: the host acts on the first report. */
function report(port: u32, other: u32): void {
  const words = registers();
  if (words.nowSeconds == reportedAt || portRecordAt(other).isUplink == 0) return;
  reportedAt = words.nowSeconds;
  words.loopPort = port + 1;
  words.loopOther = other + 1;
}

function flapAt(set: u32, way: u32): u32 {
  return set + (way << 1);
}
