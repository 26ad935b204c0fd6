// The MAC table: learning, ageing, moves. All processors read and write it; every key is one atomic
// 64-bit word (port and address together), so a race can lose a lesson but never mix two.
import { LEARNED_PER_VF_MAX } from '../../layout/limits';
import { SHARED_BASE, SHARED_FDB, SHARED_VFS } from '../../layout/memory';
import {
  FDB_MULTIPLIER_HIGH,
  FDB_MULTIPLIER_LOW,
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_STAMPS,
  FDB_STATIC,
  FDB_TAG_BITS,
  FDB_WAYS,
} from '../../layout/switch';
import { VF_LEARNED_COUNT, VF_RECORD_SIZE } from '../../layout/vf';
import { control } from '../memory/control';

const HASH_MASK: u64 = 0x0fff_ffff_ffff_ffff;
const TAG_MASK: u64 = 0x0003_ffff_ffff_ffff;
const MULTIPLIER: u64 = ((<u64>FDB_MULTIPLIER_HIGH) << 32) | <u64>FDB_MULTIPLIER_LOW;
export const PORT_UNKNOWN: i32 = -1;

let ageSecondsMax: u32 = 300;
let sweptAt: u32 = 0;

export function configureAgeing(seconds: u32): void {
  ageSecondsMax = seconds;
}

/** The VF behind an address (VLAN << 48 | MAC), or PORT_UNKNOWN. */
export function lookup(address: u64): i32 {
  const hash = scatter(address);
  const set = setOf(hash);
  const tag = hash & TAG_MASK;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if ((key & TAG_MASK) == tag && key != 0) {
      return isExpired(set, way) ? PORT_UNKNOWN : i32(portOf(key));
    }
  }
  return PORT_UNKNOWN;
}

/**
 * Notes that `address` was seen as a source at `vf`. A full set or a VF over its share learns
 * nothing.
 */
export function learn(address: u64, vf: u32): void {
  const hash = scatter(address);
  const set = setOf(hash);
  const tag = hash & TAG_MASK;
  let free: i32 = -1;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if (key != 0 && (key & TAG_MASK) == tag) {
      refresh(set, way, key, vf);
      return;
    }
    if (free < 0 && (key == 0 || isExpired(set, way))) free = i32(way);
  }
  if (free < 0 || !mayLearn(vf)) return;
  forget(set, u32(free));
  stamp(set, u32(free), control().nowSeconds);
  atomic.store<u64>(set + (u32(free) << 3), keyOf(tag, vf));
  countLearned(vf, 1);
}

function refresh(set: u32, way: u32, key: u64, vf: u32): void {
  if (stampOf(set, way) == FDB_STATIC) return; // a VF's own address never moves
  const now = control().nowSeconds;
  if (stampOf(set, way) != now) stamp(set, way, now); // one write a second, not one a frame
  const old = portOf(key);
  if (old == vf) return;
  countLearned(old, -1);
  countLearned(vf, 1);
  atomic.store<u64>(set + (way << 3), keyOf(key & TAG_MASK, vf));
}

/**
 * Host: a VF's own address (VLAN << 48 | MAC). It takes the place of whatever stands in the way.
 * False if it cannot.
 */
export function setStatic(address: u64, vf: u32): bool {
  const hash = scatter(address);
  const set = setOf(hash);
  const tag = hash & TAG_MASK;
  let place: i32 = -1;
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = atomic.load<u64>(set + (way << 3));
    if (key != 0 && (key & TAG_MASK) == tag) place = i32(way);
  }
  for (let way: u32 = 0; way < FDB_WAYS && place < 0; way++) {
    if (stampOf(set, way) != FDB_STATIC || atomic.load<u64>(set + (way << 3)) == 0)
      place = i32(way);
  }
  if (place < 0) return false;
  forget(set, u32(place));
  stamp(set, u32(place), FDB_STATIC);
  atomic.store<u64>(set + (u32(place) << 3), keyOf(tag, vf));
  return true;
}

/** Host: a VF has gone, or its address changes: everything that leads to it is forgotten. */
export function forgetPort(vf: u32): void {
  for (let set: u32 = 0; set < FDB_SET_COUNT; set++) {
    const address = SHARED_BASE + SHARED_FDB + set * FDB_SET_SIZE;
    for (let way: u32 = 0; way < FDB_WAYS; way++) {
      const key = atomic.load<u64>(address + (way << 3));
      if (key != 0 && portOf(key) == vf) forget(address, way);
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
  if (stampOf(set, way) != FDB_STATIC) countLearned(portOf(key), -1);
  atomic.store<u64>(set + (way << 3), 0);
  stamp(set, way, 0);
}

function isExpired(set: u32, way: u32): bool {
  const seen = stampOf(set, way);
  // Signed: another processor's clock may be a second ahead of ours.
  return seen != FDB_STATIC && i32(control().nowSeconds - seen) > i32(ageSecondsMax);
}

/** One to one: 10 bits that name the set, and FDB_TAG_BITS that tell its addresses apart. */
function scatter(address: u64): u64 {
  return (address * MULTIPLIER) & HASH_MASK;
}

function setOf(hash: u64): u32 {
  return SHARED_BASE + SHARED_FDB + u32(hash >> FDB_TAG_BITS) * FDB_SET_SIZE;
}

function keyOf(tag: u64, vf: u32): u64 {
  return ((u64(vf) + 1) << FDB_TAG_BITS) | tag;
}

function portOf(key: u64): u32 {
  return u32(key >> FDB_TAG_BITS) - 1;
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
