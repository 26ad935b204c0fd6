// Access to the words of the MAC table (layout/switch.ts). Keys change only in `exchange`: the
// processor whose compare-and-swap succeeds updates the counts, so they stay correct under
// concurrent writes.
import { LEARNED_PER_VF_MAX } from '../../layout/limits';
import { SHARED_BASE, SHARED_FDB } from '../../layout/memory';
import { PORT_LEARNED, PORT_UNLEARNED } from '../../layout/port';
import {
  FDB_DISTANCE_BITS,
  FDB_DISTANCE_SHIFT,
  FDB_FAR,
  FDB_MULTIPLIER_HIGH,
  FDB_MULTIPLIER_LOW,
  FDB_PORT_BITS,
  FDB_SET_COUNT,
  FDB_SET_SIZE,
  FDB_STAMPS,
  FDB_STATIC_BIT,
  FDB_TAG_BITS,
} from '../../layout/switch';
import { portRecordAt } from '../memory/port-record';
import { registers } from '../memory/registers';

const HASH_MASK: u64 = 0x0fff_ffff_ffff_ffff;
const MULTIPLIER: u64 = ((<u64>FDB_MULTIPLIER_HIGH) << 32) | <u64>FDB_MULTIPLIER_LOW;
const TAG_MASK: u64 = ((<u64>1) << FDB_TAG_BITS) - 1;
const PORT_MASK: u32 = (1 << FDB_PORT_BITS) - 1;
const DISTANCE_MASK: u64 = (((<u64>1) << FDB_DISTANCE_BITS) - 1) << FDB_DISTANCE_SHIFT;
const TABLE_BASE: u32 = SHARED_BASE + SHARED_FDB;
const TABLE_MASK: u32 = FDB_SET_COUNT * FDB_SET_SIZE - 1;
/** The bits that distinguish the addresses of one set. */
const MATCH_MASK: u64 = TAG_MASK | DISTANCE_MASK;
export const STATIC: u64 = (<u64>1) << FDB_STATIC_BIT;

let ageSecondsMax: u32 = 300;

export function configureAgeing(seconds: u32): void {
  ageSecondsMax = seconds;
}

/** A bijection: the upper bits select the home set, the lower FDB_TAG_BITS the address in it. */
export function scatter(address: u64): u64 {
  return (address * MULTIPLIER) & HASH_MASK;
}

export function homeOf(hash: u64): u32 {
  return TABLE_BASE + u32(hash >> FDB_TAG_BITS) * FDB_SET_SIZE;
}

export function tagOf(hash: u64): u64 {
  return hash & TAG_MASK;
}

export function setNumbered(number: u32): u32 {
  return TABLE_BASE + number * FDB_SET_SIZE;
}

/** The set at a distance from home; wraps at the end of the table. */
export function setAt(home: u32, distance: u32): u32 {
  return TABLE_BASE + ((home - TABLE_BASE + distance * FDB_SET_SIZE) & TABLE_MASK);
}

/** A bit for each distance from this home where its addresses may be. */
export function farOf(home: u32): u64 {
  return atomic.load<u64>(home, FDB_FAR);
}

/** Called before the key is stored, so that a lookup that needs the key finds its set. */
export function noteFar(home: u32, distance: u32): void {
  if (distance != 0) atomic.or<u64>(home, (<u64>1) << distance, FDB_FAR);
}

export function keyAt(set: u32, way: u32): u64 {
  return atomic.load<u64>(set + (way << 3));
}

/** `wanted`: a tag and its distance from home. */
export function isKeyOf(key: u64, wanted: u64): bool {
  return (key & MATCH_MASK) == wanted && key != 0;
}

export function atDistance(tag: u64, distance: u32): u64 {
  return tag | ((<u64>distance) << FDB_DISTANCE_SHIFT);
}

/** A key for the same address at another port. */
export function keyFor(wanted: u64, port: u32): u64 {
  return (wanted & MATCH_MASK) | ((u64(port) + 1) << FDB_TAG_BITS);
}

export function portOfKey(key: u64): u32 {
  return (u32(key >> FDB_TAG_BITS) & PORT_MASK) - 1;
}

export function isStatic(key: u64): bool {
  return i64(key) < 0;
}

/** In use, and not a VF's own address. */
export function isLearned(key: u64): bool {
  return i64(key) > 0;
}

export function isExpired(set: u32, way: u32, key: u64): bool {
  // Signed: another processor's clock may be a second ahead of this one's.
  return !isStatic(key) && i32(registers().nowSeconds - stampOf(set, way)) > i32(ageSecondsMax);
}

export function stampOf(set: u32, way: u32): u32 {
  return atomic.load<u32>(set + (way << 2), FDB_STAMPS);
}

export function stamp(set: u32, way: u32, seconds: u32): void {
  atomic.store<u32>(set + (way << 2), seconds, FDB_STAMPS);
}

/** Replaces `old` by `key` and counts it. False if another processor has changed the key. */
export function exchange(set: u32, way: u32, old: u64, key: u64): bool {
  if (isLearned(old)) addToWord(portOfKey(old), PENDING);
  if (isLearned(key)) addToWord(portOfKey(key), PENDING);
  const isDone = atomic.cmpxchg<u64>(set + (way << 3), old, key) == old;
  const amount = isDone ? LEARNED : 0;
  if (isLearned(old)) addToWord(portOfKey(old), CHANGE - PENDING - amount);
  if (isLearned(key)) addToWord(portOfKey(key), CHANGE - PENDING + amount);
  return isDone;
}

// The learned word of a port (layout/port.ts). The count may briefly drop below zero, if the
// processor that removes an address counts before the one that added it. The borrow then comes out
// of the number of changes, which is only ever compared.
const PENDING: u64 = 1;
const LEARNED: u64 = (<u64>1) << 8;
const CHANGE: u64 = (<u64>1) << 40;
const COUNT_MASK: u64 = 0x0000_00ff_ffff_ff00;

/** Whether no exchange is in progress. */
export function isSettled(word: u64): bool {
  return (word & 0xff) == 0;
}

export function countOf(word: u64): u32 {
  return u32(word >> 8);
}

export function wordOf(port: u32): u64 {
  return atomic.load<u64>(changetype<u32>(portRecordAt(port)), PORT_LEARNED);
}

/** Replaces the count in a word, unless an exchange has begun since the word was read. */
export function correctCount(port: u32, word: u64, count: u32): void {
  const corrected = (word & ~COUNT_MASK) | ((<u64>count) << 8);
  atomic.cmpxchg<u64>(changetype<u32>(portRecordAt(port)), word, corrected, PORT_LEARNED);
}

function addToWord(port: u32, amount: u64): void {
  atomic.add<u64>(changetype<u32>(portRecordAt(port)), amount, PORT_LEARNED);
}

export function hasRoom(port: u32): bool {
  const limit = portRecordAt(port).learnedMax;
  const count = i32(countOf(wordOf(port)));
  return count < i32(limit != 0 ? limit : LEARNED_PER_VF_MAX);
}

export function countUnlearned(port: u32): void {
  atomic.add<u64>(changetype<u32>(portRecordAt(port)), 1, PORT_UNLEARNED);
}
