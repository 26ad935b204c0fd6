// The software IOTLB: guest addresses to linear addresses, through windows that the host maps on
// demand.
//
//   guest address ─► key = function, chunk ─► window table ─► base + offset in chunk
//                                         └► miss: the host maps a slot, the turn resumes
//
// Safety: an address that translates lies in a memory region of that same function. The host only
// adds windows that it mapped from the function's own regions, and `low … low + size` are the
// bounds of the window.

import { DROP_BUFFER_ADDRESS, DROP_WINDOW_EXHAUSTED } from '../../layout/counters';
import {
  IOTLB_READ,
  IOTLB_WRITE,
  SLOT_KEY,
  SLOT_LOW,
  SLOT_RECORD_SIZE,
  SLOT_SHIFT,
  SLOT_SIZE,
  SLOT_STAMP,
  WINDOW_BASE,
  WINDOW_BEHIND_IOMMU,
  WINDOW_ENTRY_SIZE,
  WINDOW_KEY,
  WINDOW_LOW,
  WINDOW_SIZE,
  WINDOW_SLOT,
  WINDOW_SLOTS_BASE,
  WINDOW_TABLE_BASE,
  WINDOW_TABLE_BITS,
  WINDOW_TABLE_COUNT,
} from '../../layout/memory';
import { EXHAUSTED_FOR_FRAME, EXHAUSTED_FOR_FUNCTION } from '../../layout/processor';
import { batch } from '../headers/batch';
import { iovaError, iovaGuest, iovaSpan, isBehindIommu, setAccess, translateIova } from './iotlb';
import { freeEntry, freeIndex, homeOf } from './open-table';
import { registers } from './registers';

@unmanaged
class Window {
  key: u64;
  low: u32;
  size: u32;
  base: u32;
  slot: u32;
}

if (offsetof<Window>('key') != WINDOW_KEY) ERROR('Window.key drifted');
if (offsetof<Window>('low') != WINDOW_LOW) ERROR('Window.low drifted');
if (offsetof<Window>('size') != WINDOW_SIZE) ERROR('Window.size drifted');
if (offsetof<Window>('base') != WINDOW_BASE) ERROR('Window.base drifted');
if (offsetof<Window>('slot') != WINDOW_SLOT) ERROR('Window.slot drifted');

/**
 * False only in the build that measures the cost of windows for the benchmark: there, guest
 * addresses are linear addresses and nothing is checked. A NIC never runs it.
 */
// @ts-expect-error: injected by the build (asc --use)
export const HAS_WINDOWS: bool = WINDOWS != 0;

/** `translate` failed because the host has to map a window first. */
export const TRANSLATE_MISSED: i32 = -1;

/** Contiguous bytes from the address that `translate` returned last. */
export let spanLength: u32 = 0;
/** Why `translate` returned 0: TRANSLATE_MISSED, or a drop reason. */
export let translateError: i32 = 0;

// The current window: the one that the last address was in. Most buffers of a burst are close
// together, so it usually fits the next one as well. It is not kept from one batch or delivery to
// the next.
let windowOwner: u32 = 0;
let windowStart: u64 = 0; // the first guest address of the window
let windowSize: u64 = 0; // 0: there is no current window
let windowLinear: u32 = 0; // the linear address of `windowStart`

const SLOT_MASK: u32 = SLOT_SIZE - 1;
const TABLE_MASK: u32 = WINDOW_TABLE_COUNT - 1;

/**
 * Opens a batch. Windows that its frames use from now on are not evicted before the next batch
 * opens.
 */
export function beginBatch(): void {
  registers().batchStamp += 1;
  registers().exhausted = 0;
  batch().sourceStamp = registers().batchStamp;
  windowSize = 0; // so that the first use in each batch stamps the window
  setAccess(IOTLB_READ);
}

/**
 * Opens or resumes a delivery. Windows that earlier deliveries of the batch used may be evicted:
 * all their addresses are translated again. So one batch can reach any number of guests.
 */
export function beginDelivery(): void {
  registers().batchStamp += 1;
  windowSize = 0;
  setAccess(IOTLB_WRITE);
}

/** A frame was dropped because no slot was free; the next frame may ask for one again. */
export function settleExhausted(): void {
  if (registers().exhausted == EXHAUSTED_FOR_FRAME) registers().exhausted = 0;
}

/**
 * The linear address of `length` guest bytes at `address`, or 0 (see `translateError`).
 * `spanLength` tells how many of them are contiguous: at least one, fewer than `length` where the
 * window ends.
 */
export function translate(owner: u32, address: u64, length: u32): u32 {
  if (!HAS_WINDOWS) {
    spanLength = length;
    return u32(address);
  }
  if (!isInHand(owner, address) && !openWindow(owner, address)) {
    return isBehindIommu(owner)
      ? translateBehindIommu(owner, address, length)
      : failed(owner, address);
  }
  const offset = address - windowStart;
  spanLength = u32(min<u64>(length, windowSize - offset));
  return windowLinear + u32(offset);
}

/**
 * Called before a loop over many buffers of one function, which looks up those in the current
 * window with `addressInHand`. That function does not compare owners, so the window of another
 * function is dropped here, once for the whole loop.
 */
export function openLoop(owner: u32): void {
  if (owner != windowOwner) windowSize = 0;
}

/**
 * The linear address of a buffer in the current window, else 0. Small enough to be inlined into the
 * loop.
 */
export function addressInHand(address: u64, length: u32): u32 {
  if (!HAS_WINDOWS) return u32(address);
  const offset = address - windowStart;
  const isInside = offset < windowSize && u64(length) <= windowSize - offset;
  return isInside ? windowLinear + u32(offset) : 0;
}

/** The same for a buffer in another window, which becomes the current one; 0 if not mapped. */
export function addressInWindow(owner: u32, address: u64, length: u32): u32 {
  if (isInHand(owner, address) || !openWindow(owner, address)) return 0;
  return addressInHand(address, length);
}

/** Like `translate`, for bytes that are only read (descriptors), even during a delivery. */
export function translateRead(owner: u32, address: u64, length: u32): u32 {
  const before = setAccess(IOTLB_READ);
  const linear = translate(owner, address, length);
  setAccess(before);
  return linear;
}

/** Two steps: to a guest address, then through a window. Never returns bytes beyond the page. */
function translateBehindIommu(owner: u32, address: u64, length: u32): u32 {
  if (!translateIova(owner, address)) {
    translateError = i32(iovaError);
    return 0;
  }
  const prefix = (u64(owner) + 1 + WINDOW_BEHIND_IOMMU) << 48;
  const offset = u32(iovaGuest) & SLOT_MASK;
  const window = find(prefix | (iovaGuest >> SLOT_SHIFT), offset);
  if (window == null) return failed(owner, iovaGuest);
  spanLength = min(min(length, iovaSpan), window.low + window.size - offset);
  return window.base + offset;
}

/** The function is compared first: nothing else keeps one guest out of another guest's window. */
function isInHand(owner: u32, address: u64): bool {
  return owner == windowOwner && address - windowStart < windowSize;
}

/** Makes the window of a guest address the current one. False if it is not mapped. */
function openWindow(owner: u32, address: u64): bool {
  const window = find(((u64(owner) + 1) << 48) | (address >> SLOT_SHIFT), u32(address) & SLOT_MASK);
  if (window == null) return false;
  windowOwner = owner;
  windowStart = ((address >> SLOT_SHIFT) << SLOT_SHIFT) + window.low;
  windowSize = window.size;
  windowLinear = window.base + window.low;
  return true;
}

function failed(owner: u32, address: u64): u32 {
  const words = registers();
  if (words.invalidFunction == owner + 1 && words.invalidAddress == address) {
    translateError = i32(DROP_BUFFER_ADDRESS);
  } else if (isExhaustedFor(owner)) {
    translateError = i32(DROP_WINDOW_EXHAUSTED);
  } else {
    words.missFunction = owner;
    words.missAddress = address;
    translateError = TRANSLATE_MISSED;
  }
  return 0;
}

/**
 * Whether the host has refused it windows. Asking again would bring the same answer, and takes the
 * processor from everybody: a batch may have many frames for one function.
 */
function isExhaustedFor(owner: u32): bool {
  const exhausted = registers().exhausted;
  if (exhausted < EXHAUSTED_FOR_FUNCTION) return exhausted != 0;
  return exhausted == EXHAUSTED_FOR_FUNCTION + owner;
}

/** The window with this key that contains an offset. Its slot now counts as used. */
function find(key: u64, offset: u32): Window | null {
  let index = homeOf(key, WINDOW_TABLE_BITS);
  while (at(index).key != 0) {
    const window = at(index);
    if (window.key == key && offset - window.low < window.size) {
      store<u32>(slotAt(window.slot) + SLOT_STAMP, registers().batchStamp);
      return window;
    }
    index = (index + 1) & TABLE_MASK;
  }
  return null;
}

/** Host: adds a window that it mapped. `base` may wrap below 0: only base + offset counts. */
export function insertWindow(key: u64, low: u32, size: u32, base: u32, slot: u32): void {
  const index = freeIndex(WINDOW_TABLE_BASE, WINDOW_ENTRY_SIZE, WINDOW_TABLE_BITS, key);
  const window = at(index);
  window.key = key;
  window.low = low;
  window.size = size;
  window.base = base;
  window.slot = slot;
  store<u64>(slotAt(slot) + SLOT_KEY, key);
  store<u32>(slotAt(slot) + SLOT_LOW, low);
  store<u32>(slotAt(slot) + SLOT_STAMP, registers().batchStamp - 1);
}

/** Host: removes the window of a slot. */
export function removeWindow(slot: u32): void {
  freeEntry(WINDOW_TABLE_BASE, WINDOW_ENTRY_SIZE, WINDOW_TABLE_BITS, indexOf(slot));
  store<u64>(slotAt(slot) + SLOT_KEY, 0);
  windowSize = 0;
}

function indexOf(slot: u32): u32 {
  const key = load<u64>(slotAt(slot) + SLOT_KEY);
  let index = homeOf(key, WINDOW_TABLE_BITS);
  while (at(index).key != key || at(index).slot != slot) index = (index + 1) & TABLE_MASK;
  return index;
}

/**
 * Host: the slot to map next: a free one, or the least recently used one; −1 if the frames of the
 * batch and the current delivery use them all. Prefers windows of `owner`: a guest that uses its
 * own windows constantly keeps them recent and would otherwise evict those of quiet guests.
 */
export function chooseSlot(slotCount: u32, owner: u32): i32 {
  const stamp = registers().batchStamp;
  const sourceStamp = batch().sourceStamp;
  let best: i32 = -1;
  let bestAge: u32 = 0;
  let isBestOfOwner = false;
  for (let slot: u32 = 0; slot < slotCount; slot++) {
    const record = slotAt(slot);
    const key = load<u64>(record + SLOT_KEY);
    if (key == 0) return i32(slot);
    const used = load<u32>(record + SLOT_STAMP);
    const age = stamp - used;
    if (age == 0 || used == sourceStamp) continue;
    const isOfOwner = (u32(key >> 48) & (WINDOW_BEHIND_IOMMU - 1)) == owner + 1;
    if (isOfOwner == isBestOfOwner ? age > bestAge : isOfOwner) {
      bestAge = age;
      best = i32(slot);
      isBestOfOwner = isOfOwner;
    }
  }
  return best;
}

function at(index: u32): Window {
  return changetype<Window>(WINDOW_TABLE_BASE + index * WINDOW_ENTRY_SIZE);
}

function slotAt(slot: u32): u32 {
  return WINDOW_SLOTS_BASE + slot * SLOT_RECORD_SIZE;
}
