// Rings whose chains the host handles one by one, such as control queues (5.1.6.5). A turn only
// detects that there is a request. The host takes it between turns, when it can afford to, as a
// copy that the guest cannot rewrite, and returns it with its answer. The control plane interprets
// it.
//
//   visit ─► REQUEST_LIST_BASE ─► (host) ─► takeRequest ─► REQUEST_BASE ─► (host, control plane)
//                                            chain, bytes, answer addresses      │
//                                                used ring ◄─ finishRequest ◄────┘
//
// An idle ring costs nothing: its guest was asked to kick, and the ring is parked until then.
import {
  COUNTER_BYTES,
  COUNTER_DROPS,
  COUNTER_INTERRUPTS,
  COUNTER_PACKETS,
  DROP_UNTRANSLATED,
} from '../../layout/counters';
import { CHAIN_LENGTH_MAX, REQUEST_SIZE_MAX } from '../../layout/limits';
import {
  IOTLB_READ,
  REQUEST_ADDRESSES,
  REQUEST_ANSWER,
  REQUEST_BASE,
  REQUEST_BYTES,
  REQUEST_HEAD,
  REQUEST_LENGTH,
  REQUEST_LIST_BASE,
  REQUEST_SLOTS,
  REQUEST_WRITABLE,
  SOURCE_PIECES_BASE,
} from '../../layout/memory';
import {
  REQUEST_BROKEN,
  REQUEST_FAULTED,
  REQUEST_MISSED,
  REQUEST_NONE,
  REQUEST_UNTRANSLATED,
} from '../../layout/processor';
import {
  RING_FAULT_AVAIL_INDEX,
  RING_FAULT_CHAIN,
  RING_FAULT_HEAD_INDEX,
  RING_FAULT_NONE,
  RING_STOPPED,
} from '../../layout/virtqueue';
import { count } from '../counters/counters';
import { setAccess } from '../memory/iotlb';
import { gather } from '../memory/pieces';
import { registers } from '../memory/registers';
import {
  beginDelivery,
  settleExhausted,
  TRANSLATE_MISSED,
  translate,
  translateError,
} from '../memory/windows';
import { writeByte } from '../memory/write';
import { SERVED_PARKS } from '../scheduler/served';
import {
  dropOf,
  WALK_MISSED,
  WALK_UNTRANSLATED,
  walkRequest,
  writableBytes,
} from '../virtqueue/chain';
import { stopBroken } from '../virtqueue/fault';
import { armKicks, wantsInterrupt } from '../virtqueue/notification';
import { availableFlags, chainId, measureChain } from '../virtqueue/packed';
import { hasChains, isPacked, publishUsed, putUsed } from '../virtqueue/queue';
import { functionOf, Ring, RingView, ringAt, viewAt } from '../virtqueue/ring';
import { availableCount, availableHead } from '../virtqueue/split';

/**
 * The visit of a turn. The ring is parked in any case: either the host has it now, or its guest
 * will kick. A kick leads to the next visit; the host also asks for one from time to time.
 */
export function serveRequests(ringNumber: u32): u32 {
  const view = viewAt(ringNumber);
  const ring = ringAt(ringNumber);
  const words = registers();
  words.currentRing = ringNumber; // before the first access that could trap
  if (hasChains(view, ring) || armKicks(view, ring)) {
    store<u32>(REQUEST_LIST_BASE + (words.requestCount << 2), ringNumber);
    words.requestCount += 1;
  }
  return SERVED_PARKS;
}

/**
 * Host: takes the next request of a ring, between two turns. Returns 0 if it is at REQUEST_BASE,
 * else a REQUEST_ number. The request stays on the ring until it is finished. If there is none, the
 * driver is asked to kick.
 */
export function takeRequest(ringNumber: u32): i32 {
  const view = viewAt(ringNumber);
  if (view.state == RING_STOPPED) return REQUEST_NONE;
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber; // before the first access that could trap
  if (!hasChains(view, ring) && !armKicks(view, ring)) return REQUEST_NONE;
  const fault = findChain(view, ring);
  if (fault != RING_FAULT_NONE) {
    stopBroken(ringNumber, fault);
    return REQUEST_FAULTED;
  }
  beginDelivery();
  setAccess(IOTLB_READ);
  const base = SOURCE_PIECES_BASE;
  const answer = REQUEST_BASE + REQUEST_ADDRESSES;
  const owner = functionOf(ringNumber);
  const total = walkRequest(owner, view, ring, chainStart, chainSlots, base, answer);
  if (total == WALK_MISSED) {
    registers().missRing = ringNumber;
    return REQUEST_MISSED;
  }
  if (total == WALK_UNTRANSLATED) return REQUEST_UNTRANSLATED;
  store<u32>(REQUEST_BASE, chainHead, REQUEST_HEAD);
  store<u32>(REQUEST_BASE, chainSlots, REQUEST_SLOTS);
  store<u32>(REQUEST_BASE, writableBytes, REQUEST_WRITABLE);
  if (total < 0) {
    settleExhausted();
    count(ringNumber, COUNTER_DROPS + dropOf(total), 1);
    return REQUEST_BROKEN - i32(dropOf(total));
  }
  store<u32>(REQUEST_BASE, u32(total), REQUEST_LENGTH);
  gather(REQUEST_BASE + REQUEST_BYTES, base, min(u32(total), REQUEST_SIZE_MAX));
  return 0;
}

// The current chain: where the walk starts, the slots it takes, and its id for the used ring.
let chainStart: u32 = 0;
let chainSlots: u32 = 1;
let chainHead: u32 = 0;

/** Finds the next chain, which exists. Returns the fault of a broken ring, or RING_FAULT_NONE. */
function findChain(view: RingView, ring: Ring): u32 {
  if (isPacked(ring)) {
    const flags = availableFlags(view, ring, 0);
    chainSlots = flags < 0 ? 0 : measureChain(view, ring, 0, u32(flags), CHAIN_LENGTH_MAX);
    if (chainSlots == 0) return RING_FAULT_CHAIN;
    chainStart = 0;
    chainHead = chainId;
    return RING_FAULT_NONE;
  }
  if (availableCount(view, ring) > ring.size) return RING_FAULT_AVAIL_INDEX;
  chainHead = availableHead(view, ring, 0);
  if (chainHead >= ring.size) return RING_FAULT_HEAD_INDEX;
  chainStart = chainHead;
  chainSlots = 1;
  return RING_FAULT_NONE;
}

/**
 * Host: returns the request at REQUEST_BASE to the driver, with `answered` bytes of its answer.
 * Returns 1 if the driver wants an interrupt, 0 if not; REQUEST_MISSED or REQUEST_UNTRANSLATED:
 * call again later. If an address of the answer is not in guest memory, the answer ends before it.
 */
export function finishRequest(ringNumber: u32, answered: u32): i32 {
  const view = viewAt(ringNumber);
  if (view.state == RING_STOPPED) return 0;
  const ring = ringAt(ringNumber);
  registers().currentRing = ringNumber;
  beginDelivery();
  let written: u32 = 0;
  while (written < answered) {
    const address = load<u64>(REQUEST_BASE + REQUEST_ADDRESSES + (written << 3));
    const linear = translate(functionOf(ringNumber), address, 1);
    if (linear == 0) {
      if (translateError == TRANSLATE_MISSED) return REQUEST_MISSED;
      if (translateError == DROP_UNTRANSLATED) return REQUEST_UNTRANSLATED;
      settleExhausted();
      count(ringNumber, COUNTER_DROPS + u32(translateError), 1);
      break;
    }
    writeByte(linear, load<u8>(REQUEST_BASE + REQUEST_ANSWER + written));
    written += 1;
  }
  const slots = load<u32>(REQUEST_BASE, REQUEST_SLOTS);
  putUsed(view, ring, 0, load<u32>(REQUEST_BASE, REQUEST_HEAD), written);
  publishUsed(view, ring, slots);
  count(ringNumber, COUNTER_PACKETS, 1);
  count(ringNumber, COUNTER_BYTES, load<u32>(REQUEST_BASE, REQUEST_LENGTH));
  if (!wantsInterrupt(view, ring)) return 0;
  count(ringNumber, COUNTER_INTERRUPTS, 1);
  return 1;
}
