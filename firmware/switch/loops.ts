// Notices two uplinks into one network. What is flooded to both comes back by each from the other,
// and round it goes: the same source at both, many times a second. Only frames to groups count: a
// host whose bond spreads its frames over two links sends few of these.
import { FLAPS_MAX } from '../../layout/limits';
import { FDB_FLAPS } from '../../layout/switch';
import { isGroup } from '../headers/addresses';
import { portRecordAt } from '../memory/port-record';
import { registers } from '../memory/registers';
import { stamp, stampOf } from './fdb-set';

let reportedAt: u32 = 0;

/** An address that another port has, or had, came by `port`. Before its stamp is renewed. */
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

/** With a new stamp, where it was seen at its own port. */
export function clearFlaps(set: u32, way: u32): void {
  atomic.store<u16>(flapAt(set, way), 0, FDB_FLAPS);
}

/** Once a second: the host acts upon the first. */
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
