// The MAC table: learning, ageing, moves. All processors read and write it. Every key is one atomic
// 64-bit word (port and address together), so a race can lose an update but never mix two entries.
import { FDB_DISTANCE_BITS, FDB_DISTANCE_MAX, FDB_WAYS } from '../../layout/switch';
import { registers } from '../memory/registers';
import {
  atDistance,
  countUnlearned,
  exchange,
  farOf,
  hasRoom,
  homeOf,
  isExpired,
  isKeyOf,
  isLearned,
  isStatic,
  keyAt,
  keyFor,
  noteFar,
  portOfKey,
  STATIC,
  scatter,
  setAt,
  setNumbered,
  stamp,
  stampOf,
  tagOf,
} from './fdb-set';
import { clearFlaps, noteElsewhere } from './loops';
import { sweep } from './sweep';

export const PORT_UNKNOWN: i32 = -1;

const STATIC_DISTANCES: u32 = 1 << FDB_DISTANCE_BITS;

/** The port of an address (VLAN << 48 | MAC), or PORT_UNKNOWN. */
export function lookup(address: u64): i32 {
  const hash = scatter(address);
  const home = homeOf(hash);
  const tag = tagOf(hash);
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(home, way);
    if (isKeyOf(key, tag)) return isExpired(home, way, key) ? PORT_UNKNOWN : i32(portOfKey(key));
  }
  if (farOf(home) == 0 || !findFar(home, tag)) return PORT_UNKNOWN;
  return isExpired(foundSet, foundWay, foundKey) ? PORT_UNKNOWN : i32(portOfKey(foundKey));
}

/**
 * Records that `address` was seen as a source at `port`. Learns nothing if there is no room, or if
 * the port has reached its limit. `target`: the frame's destination.
 */
export function learn(address: u64, port: u32, target: u64): void {
  const hash = scatter(address);
  const home = homeOf(hash);
  const tag = tagOf(hash);
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(home, way);
    if (isKeyOf(key, tag)) {
      refresh(home, way, key, port, target);
      return;
    }
  }
  if (farOf(home) != 0 && findFar(home, tag)) refresh(foundSet, foundWay, foundKey, port, target);
  else if (!mayLearn(port) || !(settle(home, tag, port) || displace(home, tag, port)))
    countUnlearned(port);
}

function refresh(set: u32, way: u32, key: u64, port: u32, target: u64): void {
  const now = registers().nowSeconds;
  if (portOfKey(key) == port) {
    // One write per second, not per frame.
    if (!isStatic(key) && stampOf(set, way) != now) {
      clearFlaps(set, way);
      stamp(set, way, now);
    }
    return;
  }
  noteElsewhere(set, way, port, target);
  if (isStatic(key)) return; // a VF's own address never moves
  if (mayLearn(port)) {
    stamp(set, way, now);
    exchange(set, way, key, keyFor(key, port));
  } else {
    exchange(set, way, key, 0); // it has left its old port
    countUnlearned(port);
  }
}

// Result of `findFar` and `findIn`.
let foundSet: u32 = 0;
let foundWay: u32 = 0;
let foundKey: u64 = 0;

/** Looks for an address that found no room in its home set. */
function findFar(home: u32, tag: u64): bool {
  for (let far = farOf(home); far != 0; far &= far - 1) {
    const distance = u32(ctz(far));
    if (findIn(setAt(home, distance), atDistance(tag, distance))) return true;
  }
  return false;
}

function findIn(set: u32, wanted: u64): bool {
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(set, way);
    if (!isKeyOf(key, wanted)) continue;
    foundSet = set;
    foundWay = way;
    foundKey = key;
    return true;
  }
  return false;
}

/** Learns an address if there is room in its home set or nearby. */
function settle(home: u32, tag: u64, port: u32): bool {
  for (let distance: u32 = 0; distance <= FDB_DISTANCE_MAX; distance++) {
    const set = setAt(home, distance);
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      const key = keyAt(set, way);
      if (key != 0 && !isExpired(set, way, key)) continue;
      if (put(home, distance, way, key, keyFor(atDistance(tag, distance), port))) return true;
    }
  }
  return false;
}

/**
 * Takes a way of the home set from a port that has at least two more of them than `port`. Otherwise
 * a port could fill the home set of an address on purpose to keep it from being learned.
 */
function displace(home: u32, tag: u64, port: u32): bool {
  const own = waysOf(home, port);
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(home, way);
    if (!isLearned(key) || waysOf(home, portOfKey(key)) < own + 2) continue;
    if (put(home, 0, way, key, keyFor(tag, port))) return true;
  }
  return false;
}

function waysOf(set: u32, port: u32): u32 {
  let ways: u32 = 0;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(set, way);
    if (isLearned(key) && portOfKey(key) == port) ways += 1;
  }
  return ways;
}

function put(home: u32, distance: u32, way: u32, old: u64, key: u64): bool {
  const set = setAt(home, distance);
  noteFar(home, distance);
  stamp(set, way, registers().nowSeconds);
  if (!exchange(set, way, old, key)) return false;
  dropTwins(home, tagOf(key));
  return true;
}

/**
 * Two processors may have stored the same address twice. A VF's own entry is kept, otherwise the
 * first one found. The processor that writes last sees both entries.
 */
function dropTwins(home: u32, tag: u64): void {
  let keptSet: u32 = 0;
  let keptWay: u32 = 0;
  let kept: u64 = 0;
  for (let far = farOf(home) | 1; far != 0; far &= far - 1) {
    const distance = u32(ctz(far));
    const set = setAt(home, distance);
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      const key = keyAt(set, way);
      if (!isKeyOf(key, atDistance(tag, distance))) continue;
      const isBetter = kept == 0 || (isStatic(key) && !isStatic(kept));
      if (!isBetter) exchange(set, way, key, 0);
      else if (kept != 0) exchange(keptSet, keptWay, kept, 0);
      if (!isBetter) continue;
      keptSet = set;
      keptWay = way;
      kept = key;
    }
  }
}

/**
 * A VF's own address (VLAN << 48 | MAC). It may evict any learned address and therefore always
 * finds room: there are as many entries within reach as there can be addresses of VFs.
 */
export function setStatic(address: u64, port: u32): bool {
  const hash = scatter(address);
  const home = homeOf(hash);
  const tag = tagOf(hash);
  if (findIn(home, tag) || findFar(home, tag)) {
    if (exchange(foundSet, foundWay, foundKey, keyFor(foundKey, port) | STATIC)) {
      dropTwins(home, tag);
      return true;
    }
  }
  for (let distance: u32 = 0; distance < STATIC_DISTANCES; distance++) {
    const key = keyFor(atDistance(tag, distance), port) | STATIC;
    if (putStatic(home, distance, key, false) || putStatic(home, distance, key, true)) return true;
  }
  return false;
}

function putStatic(home: u32, distance: u32, key: u64, evicts: bool): bool {
  const set = setAt(home, distance);
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const old = keyAt(set, way);
    if (isStatic(old) || (!evicts && old != 0 && !isExpired(set, way, old))) continue;
    if (put(home, distance, way, old, key)) return true;
  }
  return false;
}

/** Undoes `setStatic`. */
export function clearStatic(address: u64, port: u32): void {
  if (!find(address) || !isStatic(foundKey) || portOfKey(foundKey) != port) return;
  exchange(foundSet, foundWay, foundKey, 0);
}

/** Whether the address is this VF's own. */
export function isOwn(address: u64, port: u32): bool {
  return find(address) && isStatic(foundKey) && portOfKey(foundKey) == port;
}

/** A VF's own address was seen as a source at another port, where it is not learned. */
export function noteOwnElsewhere(address: u64, port: u32, target: u64): void {
  if (find(address) && portOfKey(foundKey) != port) noteElsewhere(foundSet, foundWay, port, target);
}

/** Removes a learned address. */
export function forget(address: u64): void {
  if (find(address) && isLearned(foundKey)) exchange(foundSet, foundWay, foundKey, 0);
}

function find(address: u64): bool {
  const hash = scatter(address);
  const home = homeOf(hash);
  return findIn(home, tagOf(hash)) || findFar(home, tagOf(hash));
}

/** Host: removes all entries of a port from `sets` sets, starting at `firstSet`. */
export function forgetPort(port: u32, firstSet: u32, sets: u32): void {
  for (let number = firstSet; number < firstSet + sets; number++) {
    const set = setNumbered(number);
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      const key = keyAt(set, way);
      if (key != 0 && portOfKey(key) == port) exchange(set, way, key, 0);
    }
  }
}

function mayLearn(port: u32): bool {
  if (hasRoom(port)) return true;
  sweep();
  return hasRoom(port);
}
