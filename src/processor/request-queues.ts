import { ANSWER_SIZE_MAX, REQUEST_SIZE_MAX, RING_COUNT_MAX } from '../../layout/limits.ts';
import {
  REGISTERS_BASE,
  REQUEST_ANSWER,
  REQUEST_BASE,
  REQUEST_BYTES,
  REQUEST_LENGTH,
  REQUEST_LIST_BASE,
  REQUEST_WRITABLE,
} from '../../layout/memory.ts';
import {
  REGISTER_REQUEST_COUNT,
  REQUEST_BROKEN,
  REQUEST_FAULTED,
  REQUEST_MISSED,
  REQUEST_NONE,
  REQUEST_UNTRANSLATED,
} from '../../layout/processor.ts';
import { RING_FAULT, RING_FAULT_CHAIN } from '../../layout/virtqueue.ts';
import { elapsedMicroseconds, monotonicMicroseconds } from '../os/clock.ts';
import { CLOCKS } from './clocks.ts';
import { Countdown } from './countdown.ts';
import type { Firmware } from './firmware.ts';
import type { Report } from './mailbox.ts';
import { ringRecordAt } from './ring-record-at.ts';

/** Busy rounds of the loop between two looks at queues whose guests have not kicked. */
const POLL_ROUNDS = 64;

/**
 * Cost limit of one look, over all guests. Each request or missing window costs one, about 10 µs.
 * The rest waits for the next look, so that rings get a turn in between.
 */
const LOOK_COST_MAX = 16;

/** CPU time limit of one look, in case the kernel makes windows expensive. */
const LOOK_MICROSECONDS_MAX = 100;

/**
 * Windows that one request may miss: two for each descriptor, and some more. Only a guest that
 * moves its buffers while they are read needs more.
 */
const MISSES_MAX = 256;

/**
 * Cost limit per guest and period. Each request is work for the control plane, which no guest may
 * monopolize. Each window that it misses is work for the processor, and counts as much.
 */
const COST_PER_PERIOD_MAX = 100;
const PERIOD_MICROSECONDS = 100_000;

const NOTHING = new Uint8Array(0);

interface RequestQueue {
  readonly ring: number;
  /** asked: the control plane has the request. answered: the answer is ready to be delivered. */
  state: 'idle' | 'asked' | 'answered' | 'broken';
  /** There may be a request to take. */
  isDue: boolean;
  id: number;
  /** Chain and answer addresses of the current request. */
  readonly place: Uint8Array;
  answer: Uint8Array;
  periodStart: number;
  /** Requests and missing windows of this period. */
  spent: number;
  /** Windows that the current request has missed. */
  misses: number;
}

interface Surroundings {
  resolveMiss(): void;
  onUntranslated(): void;
  call(ring: number): void;
  report(report: Report): void;
}

/**
 * The request queues of one processor, such as control queues. Takes requests, one at a time from
 * each guest, passes them to the control plane, and returns the answers. There is rarely any work,
 * and none of it is done within a turn.
 *
 *     kick ─► (a turn looks) ─► due ─► take ─► report ─► (control plane) ─► answer ─► finish ─► interrupt
 */
export class RequestQueues {
  readonly #firmware: Firmware;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #noticed: Uint32Array;
  readonly #around: Surroundings;
  readonly #clocks: typeof CLOCKS;
  /** By ring number. */
  readonly #queues = new Map<number, RequestQueue>();
  /** Those with work: a request to take, or an answer to deliver. A look begins with the first. */
  readonly #pending = new Set<RequestQueue>();
  #costLeft = 0;
  #lookStart = 0;
  readonly #countdown = new Countdown(POLL_ROUNDS);
  /**
   * Starts at the current time, so that an answer meant for a dead processor does not match a
   * request of its replacement.
   */
  #lastId = monotonicMicroseconds();
  #isDue = false;

  constructor(firmware: Firmware, buffer: ArrayBuffer, around: Surroundings, clocks = CLOCKS) {
    this.#firmware = firmware;
    this.#clocks = clocks;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#noticed = new Uint32Array(buffer, REQUEST_LIST_BASE, RING_COUNT_MAX);
    this.#around = around;
  }

  get count(): number {
    return this.#queues.size;
  }

  has(ring: number): boolean {
    return this.#queues.has(ring);
  }

  attach(ring: number): void {
    const place = new Uint8Array(REQUEST_BYTES);
    const account = { periodStart: 0, spent: 0, misses: 0 };
    const chain = { id: 0, place, answer: NOTHING };
    this.#queues.set(ring, { ring, state: 'idle', isDue: false, ...chain, ...account });
  }

  detach(ring: number): void {
    const queue = this.#queues.get(ring);
    if (queue === undefined) return;
    this.#queues.delete(ring);
    this.#pending.delete(queue);
  }

  /** A guest kicked: the next turn looks at its queue. */
  wake(ring: number): void {
    this.#firmware.unparkRings(ring, 1);
  }

  /** Collects the queues in which the last turn found requests. */
  notice(): void {
    const at = REGISTERS_BASE + REGISTER_REQUEST_COUNT;
    const count = this.#view.getUint32(at, true);
    if (count === 0) return;
    this.#view.setUint32(at, 0, true);
    for (let i = 0; i < count; i++) {
      const queue = this.#queues.get(this.#noticed[i] ?? 0);
      if (queue === undefined) continue;
      queue.isDue = true;
      this.#note(queue);
    }
    this.#isDue = true;
  }

  /**
   * Something changed that a request may have been waiting for. Also called before sleep: idle
   * queues need no look then, because their guests kick, and an unread kick ends the sleep.
   */
  retry(): void {
    this.#isDue = true;
  }

  /** True if the last look could not afford all its work. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Before each turn. */
  look(): void {
    if (this.#countdown.isOver()) this.#poll();
    if (this.#isDue) this.serve();
  }

  /**
   * Once in POLL_ROUNDS while busy, because kicks are not read then. The next turn looks at all
   * idle queues, and the next look retries whatever waits for something.
   */
  #poll(): void {
    for (const queue of this.#queues.values()) {
      if (queue.state === 'idle' && !queue.isDue) this.wake(queue.ring);
    }
    this.retry();
  }

  /**
   * Does what is due, within the limits of one look. Afterwards, the guest of each idle queue will
   * kick for its next request.
   */
  serve(): void {
    this.#isDue = false;
    this.#costLeft = LOOK_COST_MAX;
    let count = this.#pending.size;
    if (count === 0) return;
    this.#firmware.beginHostWork();
    this.#lookStart = this.#clocks.cpu();
    const now = this.#clocks.now();
    for (const queue of this.#pending) {
      if (count === 0 || this.#costLeft <= 0) break;
      count -= 1;
      this.#serve(queue, now);
      this.#pending.delete(queue);
      this.#note(queue); // behind those that this look may not reach
    }
    if (this.#costLeft <= 0) this.#isDue = true;
  }

  /** Takes the answer to a request, if that is still the current one. */
  answer(ring: number, id: number, answer: Uint8Array): void {
    const queue = this.#queues.get(ring);
    if (queue === undefined || queue.state !== 'asked' || queue.id !== id) return;
    queue.answer = answer;
    queue.state = 'answered';
    this.#note(queue);
    this.#isDue = true;
  }

  #note(queue: RequestQueue): void {
    const { state, isDue } = queue;
    if (state === 'answered' || (state === 'idle' && isDue)) this.#pending.add(queue);
  }

  /** How long until a guest that asked too often may ask again; −1: there is no such guest. */
  sleepMilliseconds(): number {
    let wait = -1;
    for (const { spent, periodStart } of this.#pending) {
      if (spent < COST_PER_PERIOD_MAX) continue;
      const since = elapsedMicroseconds(periodStart, this.#clocks.now());
      const left = Math.ceil(Math.max(0, PERIOD_MICROSECONDS - since) / 1000);
      wait = wait < 0 ? left : Math.min(wait, left);
    }
    return wait;
  }

  /** The period is renewed only here, so that a long look does not earn a new period. */
  #serve(queue: RequestQueue, now: number): void {
    if (elapsedMicroseconds(queue.periodStart, now) >= PERIOD_MICROSECONDS) {
      queue.periodStart = now;
      queue.spent = 0;
    }
    if (queue.state === 'answered') this.#finish(queue);
    while (queue.isDue && queue.state === 'idle' && this.#mayPay(queue) && this.#take(queue)) {
      this.#pay(queue);
    }
    this.#firmware.chargeHostWork(this.#firmware.functionOf(queue.ring));
  }

  /**
   * Called after each window, not for each queue: looks at idle queues should not pay for the
   * clock.
   */
  #checkTime(): void {
    const spent = this.#clocks.cpu() - this.#lookStart;
    if (spent > LOOK_MICROSECONDS_MAX) this.#costLeft = 0;
  }

  #mayPay(queue: RequestQueue): boolean {
    return this.#costLeft > 0 && queue.spent < COST_PER_PERIOD_MAX;
  }

  #pay(queue: RequestQueue): void {
    this.#costLeft -= 1;
    queue.spent += 1;
  }

  /** True if there was a request. */
  #take(queue: RequestQueue): boolean {
    const { ring } = queue;
    const result = this.#withWindows(queue, () => this.#firmware.takeRequest(ring));
    // Its windows stay open, so a later look gets further.
    if (result === REQUEST_MISSED && queue.misses < MISSES_MAX) return false;
    queue.misses = 0;
    if (result === REQUEST_MISSED || result === REQUEST_FAULTED) {
      queue.state = 'broken';
      this.#around.report({ kind: 'ring-fault', ring, fault: this.#faultOf(ring, result) });
      return false;
    }
    if (result === REQUEST_UNTRANSLATED) this.#around.onUntranslated();
    if (result === REQUEST_NONE) queue.isDue = false; // the guest was asked to kick
    if (result < 0 && result > REQUEST_BROKEN) return false;
    queue.place.set(this.#bytes.subarray(REQUEST_BASE, REQUEST_BASE + REQUEST_BYTES));
    if (result === 0) this.#ask(queue);
    else this.#settle(queue, NOTHING);
    return true;
  }

  #ask(queue: RequestQueue): void {
    const length = this.#view.getUint32(REQUEST_BASE + REQUEST_LENGTH, true);
    const room = writableOf(queue);
    const start = REQUEST_BASE + REQUEST_BYTES;
    const bytes = length <= REQUEST_SIZE_MAX ? this.#bytes.slice(start, start + length) : null;
    this.#lastId += 1;
    queue.id = this.#lastId;
    queue.state = 'asked';
    this.#around.report({ kind: 'request', ring: queue.ring, id: queue.id, bytes, room });
  }

  #settle(queue: RequestQueue, answer: Uint8Array): void {
    queue.answer = answer;
    queue.state = 'answered';
    this.#finish(queue);
  }

  #finish(queue: RequestQueue): void {
    const answer = queue.answer.subarray(0, Math.min(writableOf(queue), ANSWER_SIZE_MAX));
    this.#bytes.set(queue.place, REQUEST_BASE);
    this.#bytes.set(answer, REQUEST_BASE + REQUEST_ANSWER);
    const { ring } = queue;
    const result = this.#withWindows(queue, () =>
      this.#firmware.finishRequest(ring, answer.length),
    );
    if (result === REQUEST_UNTRANSLATED) this.#around.onUntranslated();
    if (result < 0) return; // retried at the next opportunity
    queue.state = 'idle';
    queue.misses = 0;
    if (result === 1) this.#around.call(ring);
  }

  /**
   * Returns REQUEST_MISSED if this look or the guest's account cannot pay for the missing windows.
   */
  #withWindows(queue: RequestQueue, call: () => number): number {
    let result = call();
    while (result === REQUEST_MISSED && this.#mayPay(queue) && queue.misses < MISSES_MAX) {
      this.#pay(queue);
      queue.misses += 1;
      this.#around.resolveMiss();
      this.#checkTime();
      result = call();
    }
    return result;
  }

  #faultOf(ring: number, result: number): number {
    if (result === REQUEST_MISSED) return RING_FAULT_CHAIN;
    return this.#view.getUint32(ringRecordAt(ring) + RING_FAULT, true);
  }
}

function writableOf(queue: RequestQueue): number {
  const { buffer, byteOffset } = queue.place;
  return new DataView(buffer, byteOffset).getUint32(REQUEST_WRITABLE, true);
}
