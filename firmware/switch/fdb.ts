// The MAC table: learning, ageing, moves. All processors read and write it; every key is one atomic
// 64-bit word (port and address together), so a race can lose a lesson but never mix two.
import { LEARNED_PER_VF_MAX } from '../../layout/limits';
import { SHARED_BASE, SHARED_FDB, SHARED_VFS } from '../../layout/memory';
import { FDB_SET_COUNT, FDB_SET_SIZE, FDB_STAMPS, FDB_STATIC, FDB_WAYS } from '../../layout/switch';
import { VF_LEARNED_COUNT, VF_RECORD_SIZE } from '../../layout/vf';
import { control } from '../memory/control';

const MAC_MASK: u64 = 0x0000_ffff_ffff_ffff;
export const PORT_UNKNOWN: i32 = -1;

let ageSecondsMax: u32 = 300;
let sweptAt: u32 = 0;

export function configureAgeing(seconds: u32): void {
  ageSecondsMax = seconds;
}

/** The VF behind an address, or PORT_UNKNOWN. */
export function lookup(mac: u64): i32 {
  const set = setOf(mac);
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if ((key & MAC_MASK) == mac && key != 0) {
      return isExpired(set, way) ? PORT_UNKNOWN : i32(key >> 48) - 1;
    }
  }
  return PORT_UNKNOWN;
}

/**
 * Notes that `mac` was seen as a source at `vf`. A full set or a VF over its share learns nothing.
 */
export function learn(mac: u64, vf: u32): void {
  const set = setOf(mac);
  let free: i32 = -1;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if (key != 0 && (key & MAC_MASK) == mac) {
      refresh(set, way, key, mac, vf);
      return;
    }
    if (free < 0 && (key == 0 || isExpired(set, way))) free = i32(way);
  }
  if (free < 0 || !mayLearn(vf)) return;
  forget(set, u32(free));
  stamp(set, u32(free), control().nowSeconds);
  atomic.store<u64>(set + (u32(free) << 3), ((u64(vf) + 1) << 48) | mac);
  countLearned(vf, 1);
}

function refresh(set: u32, way: u32, key: u64, mac: u64, vf: u32): void {
  if (stampOf(set, way) == FDB_STATIC) return; // a VF's own address never moves
  const now = control().nowSeconds;
  if (stampOf(set, way) != now) stamp(set, way, now); // one write a second, not one a frame
  if (u32(key >> 48) == vf + 1) return;
  countLearned(u32(key >> 48) - 1, -1);
  countLearned(vf, 1);
  atomic.store<u64>(set + (way << 3), ((u64(vf) + 1) << 48) | mac);
}

/**
 * Host: a VF's own address. It takes the place of whatever stands in the way. False if it cannot.
 */
export function setStatic(mac: u64, vf: u32): bool {
  const set = setOf(mac);
  let place: i32 = -1;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if (key != 0 && (key & MAC_MASK) == mac) place = i32(way);
  }
  for (let way: u32 = 0; way < FDB_WAYS && place < 0; way++) {
    if (stampOf(set, way) != FDB_STATIC || atomic.load<u64>(set + (way << 3)) == 0)
      place = i32(way);
  }
  if (place < 0) return false;
  forget(set, u32(place));
  stamp(set, u32(place), FDB_STATIC);
  atomic.store<u64>(set + (u32(place) << 3), ((u64(vf) + 1) << 48) | mac);
  return true;
}

/** Host: a VF has gone, or its address changes: everything that leads to it is forgotten. */
export function forgetPort(vf: u32): void {
  for (let set: u32 = 0; set < FDB_SET_COUNT; set++) {
    const address = SHARED_BASE + SHARED_FDB + set * FDB_SET_SIZE;
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      if (u32(atomic.load<u64>(address + (way << 3)) >> 48) == vf + 1) forget(address, way);
    }
  }
}

function mayLearn(vf: u32): bool {
  if (learnedCount(vf) < LEARNED_PER_VF_MAX) return true;
  const now = control().nowSeconds;
  if (sweptAt == now) return false; // a sweep a second bounds what a flood of addresses costs
  sweptAt = now;
  for (let set: u32 = 0; set < FDB_SET_COUNT; set++) {
    const address = SHARED_BASE + SHARED_FDB + set * FDB_SET_SIZE;
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      if (isExpired(address, way)) forget(address, way);
    }
  }
  return learnedCount(vf) < LEARNED_PER_VF_MAX;
}

function forget(set: u32, way: u32): void {
  const key = atomic.load<u64>(set + (way << 3));
  if (key == 0) return;
  if (stampOf(set, way) != FDB_STATIC) countLearned(u32(key >> 48) - 1, -1);
  atomic.store<u64>(set + (way << 3), 0);
  stamp(set, way, 0);
}

function isExpired(set: u32, way: u32): bool {
  const seen = stampOf(set, way);
  // Signed: another processor's clock may be a second ahead of ours.
  return seen != FDB_STATIC && i32(control().nowSeconds - seen) > i32(ageSecondsMax);
}

function setOf(mac: u64): u32 {
  const hash = u32((mac * 0x9e3779b97f4a7c15) >> 54); // 10 bits: FDB_SET_COUNT
  return SHARED_BASE + SHARED_FDB + hash * FDB_SET_SIZE;
}

function stampOf(set: u32, way: u32): u32 {
  return atomic.load<u32>(set + FDB_STAMPS + (way << 2));
}

function stamp(set: u32, way: u32, seconds: u32): void {
  atomic.store<u32>(set + FDB_STAMPS + (way << 2), seconds);
}

function learnedAddress(vf: u32): u32 {
  return SHARED_BASE + SHARED_VFS + vf * VF_RECORD_SIZE + VF_LEARNED_COUNT;
}

function learnedCount(vf: u32): u32 {
  return atomic.load<u32>(learnedAddress(vf));
}

function countLearned(vf: u32, amount: i32): void {
  atomic.add<u32>(learnedAddress(vf), u32(amount));
}
