// Translates the I/O virtual addresses of guests behind an IOMMU to guest addresses, using the
// translations that the front-end sent.
//
//   IOVA ─► function, page ─► table ─► guest address, access ─► a window, as for every other guest
//                         └► missing: recorded for the host, which asks the front-end
//
// The answer takes a while and must not delay other rings: a transmit ring is parked, a frame for a
// posted buffer is dropped.

import { DROP_BUFFER_ADDRESS, DROP_UNTRANSLATED } from '../../layout/counters';
import { FUNCTION_COUNT_MAX, UNTRANSLATED_COUNT_MAX } from '../../layout/limits';
import {
  IOTLB_BASE,
  IOTLB_ENTRY_SIZE,
  IOTLB_LARGE_SHIFT,
  IOTLB_MIDDLE_SHIFT,
  IOTLB_OWNER_SHIFT,
  IOTLB_READ,
  IOTLB_SMALL_SHIFT,
  IOTLB_TABLE_BITS,
  IOTLB_TABLE_COUNT,
  IOTLB_VALUE,
  IOTLB_WRITE,
  SHARED_BASE,
  SHARED_FUNCTIONS,
  UNTRANSLATED_ACCESS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_ENTRY_SIZE,
  UNTRANSLATED_FORBIDDEN,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory';
import { FUNCTION_BEHIND_IOMMU, FUNCTION_RECORD_SIZE } from '../../layout/port';
import { freeEntry, freeIndex, homeOf } from './open-table';
import { registers } from './registers';

const TABLE_MASK: u32 = IOTLB_TABLE_COUNT - 1;
const ACCESS_MASK: u64 = IOTLB_READ | IOTLB_WRITE;

/** What the current frames need: IOTLB_READ for the sender, IOTLB_WRITE for the receiver. */
let access: u32 = IOTLB_READ;
/** Entries for pages larger than 4 KiB. Few guests have any; without them, one probe is enough. */
let largeCount: u32 = 0;
/** The last missing address is in the host's list, so it will be requested. */
export let isNoted: bool = true;
/** Set during look-ahead, which must not consume a refusal: a later use needs it. */
let isLookingAhead: bool = false;

/** Result of `translateIova`: the guest address, and the bytes from there to the page's end. */
export let iovaGuest: u64 = 0;
export let iovaSpan: u32 = 0;
/** Why `translateIova` failed: a drop reason. */
export let iovaError: u32 = 0;

export function isBehindIommu(owner: u32): bool {
  const record = SHARED_BASE + SHARED_FUNCTIONS + owner * FUNCTION_RECORD_SIZE;
  return load<u32>(record, FUNCTION_BEHIND_IOMMU) != 0;
}

/** Returns the previous setting. */
export function setAccess(wanted: u32): u32 {
  const before = access;
  access = wanted;
  return before;
}

export function setLookingAhead(value: bool): void {
  isLookingAhead = value;
}

/** Finds the guest address of an I/O virtual address. False: see `iovaError`. */
export function translateIova(owner: u32, address: u64): bool {
  if (!lookUp(owner, address)) {
    note(owner, address, access);
    iovaError = DROP_UNTRANSLATED;
    return false;
  }
  const value = load<u64>(found, IOTLB_VALUE);
  if ((u32(value) & access) == 0) {
    iovaError = DROP_BUFFER_ADDRESS;
    refuse(owner, address, value);
    return false;
  }
  const page = (u64(1) << foundShift) - 1;
  iovaGuest = (value & ~ACCESS_MASK) + (address & page);
  iovaSpan = u32(min<u64>(page - (address & page), 0x7fffffff)) + 1;
  return true;
}

/**
 * The page does not allow this access. Or, if it allows none, the front-end knows no such address:
 * that refusal is good for one use, so it is removed.
 */
function refuse(owner: u32, address: u64, value: u64): void {
  if ((value & ACCESS_MASK) != 0) note(owner, address, access | UNTRANSLATED_FORBIDDEN);
  else if (!isLookingAhead) removeTranslation(load<u64>(found));
}

// The entry that `lookUp` found.
let found: u32 = 0;
let foundShift: u32 = 0;

function lookUp(owner: u32, address: u64): bool {
  if (probe(owner, address, 0, IOTLB_SMALL_SHIFT)) return true;
  if (largeCount == 0) return false;
  return (
    probe(owner, address, 1, IOTLB_MIDDLE_SHIFT) || probe(owner, address, 2, IOTLB_LARGE_SHIFT)
  );
}

function probe(owner: u32, address: u64, level: u64, shift: u32): bool {
  const code = level * FUNCTION_COUNT_MAX + owner + 1;
  const tag = (code << IOTLB_OWNER_SHIFT) | (address >> shift);
  let index = homeOf(tag, IOTLB_TABLE_BITS);
  while (load<u64>(entryAt(index)) != 0) {
    if (load<u64>(entryAt(index)) == tag) {
      found = entryAt(index);
      foundShift = shift;
      return true;
    }
    index = (index + 1) & TABLE_MASK;
  }
  return false;
}

function note(owner: u32, address: u64, wanted: u32): void {
  const words = registers();
  const count = words.untranslatedCount;
  const entry = UNTRANSLATED_LIST_BASE + count * UNTRANSLATED_ENTRY_SIZE;
  isNoted = count != 0 && isEntry(entry - UNTRANSLATED_ENTRY_SIZE, owner, address, wanted);
  // A batch that hits the same buffer repeatedly records it once. If the list is full, a later
  // access to the address records it.
  if (isNoted || count == UNTRANSLATED_COUNT_MAX) return;
  isNoted = true;
  store<u32>(entry, owner);
  store<u32>(entry, wanted, UNTRANSLATED_ACCESS);
  store<u64>(entry, address, UNTRANSLATED_ADDRESS);
  words.untranslatedCount = count + 1;
}

function isEntry(entry: u32, owner: u32, address: u64, wanted: u32): bool {
  return (
    load<u32>(entry) == owner &&
    load<u32>(entry, UNTRANSLATED_ACCESS) == wanted &&
    load<u64>(entry, UNTRANSLATED_ADDRESS) == address
  );
}

/** Host: adds a translation whose tag is not in the table. */
export function insertTranslation(tag: u64, value: u64): void {
  const index = freeIndex(IOTLB_BASE, IOTLB_ENTRY_SIZE, IOTLB_TABLE_BITS, tag);
  store<u64>(entryAt(index), tag);
  store<u64>(entryAt(index), value, IOTLB_VALUE);
  if (isLarge(tag)) largeCount += 1;
}

/** Host: removes a translation if it exists. */
export function removeTranslation(tag: u64): void {
  let index = homeOf(tag, IOTLB_TABLE_BITS);
  while (load<u64>(entryAt(index)) != tag) {
    if (load<u64>(entryAt(index)) == 0) return;
    index = (index + 1) & TABLE_MASK;
  }
  if (isLarge(tag)) largeCount -= 1;
  freeEntry(IOTLB_BASE, IOTLB_ENTRY_SIZE, IOTLB_TABLE_BITS, index);
}

function isLarge(tag: u64): bool {
  return tag >> IOTLB_OWNER_SHIFT > FUNCTION_COUNT_MAX;
}

function entryAt(index: u32): u32 {
  return IOTLB_BASE + index * IOTLB_ENTRY_SIZE;
}
