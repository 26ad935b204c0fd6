import { ANSWER_SIZE_MAX, COMMAND_SIZE_MAX } from '../../layout/limits.ts';
import {
  COMMAND_ANSWER,
  COMMAND_BASE,
  COMMAND_BYTES,
  COMMAND_LENGTH,
  COMMAND_WRITABLE,
  SHARED_BASE,
  SHARED_RINGS,
} from '../../layout/memory.ts';
import {
  COMMAND_BROKEN,
  COMMAND_FAULTED,
  COMMAND_MISSED,
  COMMAND_UNTRANSLATED,
} from '../../layout/processor.ts';
import { RING_FAULT, RING_FAULT_CHAIN, RING_RECORD_SIZE } from '../../layout/virtqueue.ts';
import type { Report } from './commands.ts';
import type { Firmware } from './firmware.ts';

/** Turns between two looks while there is work. */
const LOOK_TURNS = 64;

/**
 * Windows that one command may miss: each descriptor in two, and some. Only a guest that moves its
 * buffers while they are looked at needs more.
 */
const MISSES_MAX = 256;

/** Each command is work for the control plane, which no guest may have for itself. */
const COMMANDS_PER_PERIOD_MAX = 100;
const PERIOD_MILLISECONDS = 100;

const NOTHING = new Uint8Array(0);

interface ControlQueue {
  readonly ring: number;
  /** asked: the control plane has the command. answered: only its hand-over is left to do. */
  state: 'idle' | 'asked' | 'answered' | 'broken';
  id: number;
  /** Chain and addresses of the command under way. */
  readonly place: Uint8Array;
  answer: Uint8Array;
  periodStart: number;
  taken: number;
}

interface Surroundings {
  resolveMiss(): void;
  onUntranslated(): void;
  call(ring: number): void;
  report(report: Report): void;
}

/**
 * The control queues of the VFs of one processor: takes commands, one at a time of each guest,
 * hands them to the control plane and their answers back. Seldom any work, and never in a turn.
 *
 *     take ─► report ─► (control plane) ─► answer ─► finish ─► interrupt
 */
export class ControlQueues {
  readonly #firmware: Firmware;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #around: Surroundings;
  readonly #queues = new Map<number, ControlQueue>();
  #lastId = 0;
  #isDue = false;

  constructor(firmware: Firmware, buffer: ArrayBuffer, around: Surroundings) {
    this.#firmware = firmware;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#around = around;
  }

  get count(): number {
    return this.#queues.size;
  }

  attach(ring: number): void {
    const place = new Uint8Array(COMMAND_BYTES);
    const period = { periodStart: 0, taken: 0 };
    this.#queues.set(ring, { ring, state: 'idle', id: 0, place, answer: NOTHING, ...period });
  }

  detach(ring: number): void {
    this.#queues.delete(ring);
  }

  /** A guest kicked, or something changed: looks at the next opportunity. */
  wake(): void {
    this.#isDue = true;
  }

  /** Now and then while there is work, and after a kick. */
  look(turns: number): void {
    if (this.#isDue || turns % LOOK_TURNS === 0) this.serve();
  }

  /** Does what there is to do. Afterwards each guest with an idle queue kicks for its next one. */
  serve(): void {
    this.#isDue = false;
    for (const queue of this.#queues.values()) this.#serve(queue);
  }

  /** The control plane has carried a command out, if that is still the one under way. */
  answer(ring: number, id: number, answer: Uint8Array): void {
    const queue = this.#queues.get(ring);
    if (queue === undefined || queue.state !== 'asked' || queue.id !== id) return;
    queue.answer = answer;
    queue.state = 'answered';
    this.#serve(queue);
  }

  /** How long until a guest that asked too often may ask again; −1: there is none. */
  sleepMilliseconds(): number {
    let wait = -1;
    for (const { state, taken, periodStart } of this.#queues.values()) {
      if (state !== 'idle' || taken < COMMANDS_PER_PERIOD_MAX) continue;
      const left = Math.ceil(periodStart + PERIOD_MILLISECONDS - performance.now());
      wait = Math.max(0, wait < 0 ? left : Math.min(wait, left));
    }
    return wait;
  }

  #serve(queue: ControlQueue): void {
    if (queue.state === 'answered') this.#finish(queue);
    while (queue.state === 'idle' && this.#mayTake(queue) && this.#take(queue)) {
      queue.taken += 1;
    }
  }

  #mayTake(queue: ControlQueue): boolean {
    const now = performance.now();
    if (now - queue.periodStart >= PERIOD_MILLISECONDS) {
      queue.periodStart = now;
      queue.taken = 0;
    }
    return queue.taken < COMMANDS_PER_PERIOD_MAX;
  }

  /** True if there was a command. */
  #take(queue: ControlQueue): boolean {
    const { ring } = queue;
    const result = this.#withWindows(() => this.#firmware.takeCommand(ring));
    if (result === COMMAND_MISSED || result === COMMAND_FAULTED) {
      queue.state = 'broken';
      this.#around.report({ kind: 'ring-fault', ring, fault: this.#faultOf(ring, result) });
      return false;
    }
    if (result === COMMAND_UNTRANSLATED) this.#around.onUntranslated();
    if (result < 0 && result > COMMAND_BROKEN) return false;
    queue.place.set(this.#bytes.subarray(COMMAND_BASE, COMMAND_BASE + COMMAND_BYTES));
    if (result === 0) this.#ask(queue);
    else this.#settle(queue, NOTHING);
    return true;
  }

  #ask(queue: ControlQueue): void {
    const length = this.#view.getUint32(COMMAND_BASE + COMMAND_LENGTH, true);
    const room = writableOf(queue);
    const isTakable = length <= COMMAND_SIZE_MAX && room > 0;
    const start = COMMAND_BASE + COMMAND_BYTES;
    const bytes = isTakable ? this.#bytes.slice(start, start + length) : NOTHING;
    this.#lastId += 1;
    queue.id = this.#lastId;
    queue.state = 'asked';
    this.#around.report({ kind: 'command', ring: queue.ring, id: queue.id, bytes, room });
  }

  #settle(queue: ControlQueue, answer: Uint8Array): void {
    queue.answer = answer;
    queue.state = 'answered';
    this.#finish(queue);
  }

  #finish(queue: ControlQueue): void {
    const answer = queue.answer.subarray(0, Math.min(writableOf(queue), ANSWER_SIZE_MAX));
    this.#bytes.set(queue.place, COMMAND_BASE);
    this.#bytes.set(answer, COMMAND_BASE + COMMAND_ANSWER);
    const result = this.#withWindows(() => this.#firmware.finishCommand(queue.ring, answer.length));
    if (result === COMMAND_UNTRANSLATED) this.#around.onUntranslated();
    if (result < 0) return; // tried again at the next opportunity
    queue.state = 'idle';
    if (result === 1) this.#around.call(queue.ring);
  }

  #withWindows(call: () => number): number {
    let result = call();
    for (let misses = 0; result === COMMAND_MISSED && misses < MISSES_MAX; misses++) {
      this.#around.resolveMiss();
      result = call();
    }
    return result;
  }

  #faultOf(ring: number, result: number): number {
    if (result === COMMAND_MISSED) return RING_FAULT_CHAIN;
    const at = SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE + RING_FAULT;
    return this.#view.getUint32(at, true);
  }
}

function writableOf(queue: ControlQueue): number {
  const { buffer, byteOffset } = queue.place;
  return new DataView(buffer, byteOffset).getUint32(COMMAND_WRITABLE, true);
}
