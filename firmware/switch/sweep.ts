// Sweeps the MAC table for a port that has reached its limit: removes expired addresses and
// recounts the learned addresses of all ports. A batch sweeps at most one part of the table, and a
// pass begins at most once a second, which bounds the cost of an address flood.
//
// A port's recount is stored only if none of its addresses was added or removed during the pass.
// The word with the count also counts changes, and one compare-and-swap replaces it.
import { PORT_COUNT_MAX, SWEEP_SETS } from '../../layout/limits';
import { RECOUNT_BASE, RECOUNT_ENTRY_SIZE } from '../../layout/memory';
import { FDB_SET_COUNT, FDB_WAYS } from '../../layout/switch';
import { registers } from '../memory/registers';
import {
  correctCount,
  countOf,
  exchange,
  isExpired,
  isLearned,
  isSettled,
  keyAt,
  portOfKey,
  setNumbered,
  wordOf,
} from './fdb-set';

let nextSet: u32 = 0;
let sweptBatch: u32 = 0;
let sweptAt: u32 = 0;

export function sweep(): void {
  const words = registers();
  if (words.batchStamp == sweptBatch) return;
  sweptBatch = words.batchStamp;
  if (nextSet == 0) {
    if (words.nowSeconds == sweptAt) return;
    sweptAt = words.nowSeconds;
    openRecount();
  }
  const end = nextSet + SWEEP_SETS;
  for (; nextSet < end; nextSet++) sweepSet(setNumbered(nextSet));
  if (nextSet < FDB_SET_COUNT) return;
  nextSet = 0;
  closeRecount();
}

function sweepSet(set: u32): void {
  for (let way: u32 = 0; way < FDB_WAYS; way++) {
    const key = keyAt(set, way);
    if (!isLearned(key)) continue;
    if (isExpired(set, way, key)) exchange(set, way, key, 0);
    else recount(portOfKey(key));
  }
}

//   0                       8          12
//   ┌───────────────────────┬──────────┬────────┐
//   │ the word at the start │ recount  │ (free) │  for each port
//   └───────────────────────┴──────────┴────────┘
function entryOf(port: u32): u32 {
  return RECOUNT_BASE + port * RECOUNT_ENTRY_SIZE;
}

function openRecount(): void {
  for (let port: u32 = 0; port < PORT_COUNT_MAX; port++) {
    store<u64>(entryOf(port), wordOf(port));
    store<u32>(entryOf(port), 0, 8);
  }
}

function recount(port: u32): void {
  store<u32>(entryOf(port), load<u32>(entryOf(port), 8) + 1, 8);
}

function closeRecount(): void {
  for (let port: u32 = 0; port < PORT_COUNT_MAX; port++) {
    const word = load<u64>(entryOf(port));
    const count = load<u32>(entryOf(port), 8);
    if (countOf(word) == count || !isSettled(word)) continue;
    correctCount(port, word, count);
  }
}
