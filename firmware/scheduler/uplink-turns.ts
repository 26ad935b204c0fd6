// Whose turn it is at an uplink with a capacity, among those whose frames wait for it. An uplink is
// short of bytes, whatever its senders cost the processor: so they take turns by what they have had
// of it, by weight.
//
//   had += ns on its wire / weight      of each function at each uplink
//   virtual = the least `had` of those that wait, when it opens;   `had` ≤ virtual: its turn
//
// This is start-time fair queueing (Goyal, Vin, Cheng 1996). It works on this processor only.
import { FUNCTION_COUNT_MAX, STOP_NS } from '../../layout/limits';
import { UPLINK_HAD_BASE, UPLINK_QUEUE_SIZE, UPLINK_QUEUES_BASE } from '../../layout/memory';
import { Promised, promiseOf, weightInverseOf } from './node';
import { schedule } from './schedule';
import { owedKey } from './tree';

@unmanaged
class Queue {
  /** What those have had whose turn it is, in ns of the uplink by weight. */
  virtual: f64;
  /** The least of those that wait, … */
  least: f64;
  /** … as of this round of questions. */
  round: u32;
  /** How many rings wait. */
  waiting: u32;
}

if (offsetof<Queue>() > UPLINK_QUEUE_SIZE) ERROR('Queue is more than its record');

function queueOf(uplink: u32): Queue {
  return changetype<Queue>(UPLINK_QUEUES_BASE + uplink * UPLINK_QUEUE_SIZE);
}

/** What a function has had of an uplink, by its weight. */
@unmanaged
class Had {
  ns: f64;
}

function hadAt(uplink: u32, sender: u32): Had {
  return changetype<Had>(UPLINK_HAD_BASE + ((uplink * FUNCTION_COUNT_MAX + sender) << 3));
}

/** Ahead of the others, who has not sent for a while is by one pause at most. */
function raise(uplink: u32, sender: u32): f64 {
  const bonus = f64(STOP_NS) * weightInverseOf(promiseOf(sender));
  const had = hadAt(uplink, sender);
  had.ns = max(had.ns, queueOf(uplink).virtual - bonus);
  return had.ns;
}

/** A ring of the function waits for the uplink. */
export function joinQueue(uplink: u32, sender: u32): void {
  raise(uplink, sender);
  queueOf(uplink).waiting += 1;
}

export function leaveQueue(uplink: u32): void {
  queueOf(uplink).waiting -= 1;
}

/** Called for each ring that waits, before any is asked whether it may go on. */
export function offerTurn(uplink: u32, sender: u32): void {
  const queue = queueOf(uplink);
  const round = schedule().waitRound;
  const had = hadAt(uplink, sender).ns;
  queue.least = queue.round == round ? min(queue.least, had) : had;
  queue.round = round;
}

/**
 * Whether it is the function's turn, if the uplink has been open for `open` ns. What half of the
 * burst leaves unused is anybody's: whose turn it is may be unable to send.
 */
export function hasTurn(uplink: u32, sender: u32, open: f64, promise: Promised): bool {
  const queue = queueOf(uplink);
  if (queue.waiting == 0 || open > promise.rxBurstNs / 2 || isOwed(sender)) return true;
  if (queue.round == schedule().waitRound) queue.virtual = max(queue.virtual, queue.least);
  const slack = (f64(STOP_NS) / 2) * weightInverseOf(promiseOf(sender));
  return raise(uplink, sender) <= queue.virtual + slack;
}

/** Guarantees come before turns. */
function isOwed(sender: u32): bool {
  return promiseOf(sender).shareByteNs != 0 && owedKey(sender) < schedule().clock;
}

/** The function has used the uplink for so many ns, for its guarantee or in its turn. */
export function payTurn(uplink: u32, sender: u32, ns: f64, isGuaranteed: bool): void {
  const queue = queueOf(uplink);
  let had = raise(uplink, sender);
  if (!isGuaranteed) had += ns * weightInverseOf(promiseOf(sender));
  hadAt(uplink, sender).ns = had;
  if (queue.waiting == 0) queue.virtual = max(queue.virtual, had);
}
