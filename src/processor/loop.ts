import type { MessagePort } from 'node:worker_threads';
import { COUNTER_KICKS, COUNTER_RECORD_SIZE } from '../../layout/counters.ts';
import { RING_COUNT_MAX } from '../../layout/limits.ts';
import {
  FAULT_LIST_BASE,
  REGISTERS_BASE,
  SHARED_BASE,
  SHARED_COUNTERS,
  SHARED_PROCESSORS,
  SHARED_RINGS,
  SLOT_COUNT_MAX,
} from '../../layout/memory.ts';
import {
  INTERRUPT_ALL,
  INTERRUPT_NOBODY,
  INTERRUPT_RECEIVERS,
  PROCESSOR_RECORD_SIZE,
  PROCESSOR_SLOTS,
  REGISTER_CURRENT_RING,
  REGISTER_FAULT_COUNT,
  REGISTER_INVALID_FUNCTION,
  REGISTER_LOOP_OTHER,
  REGISTER_LOOP_PORT,
  REGISTER_NOW_SECONDS,
  REGISTER_SENT_BYTES,
  TURN_BUSY,
  TURN_IDLE,
  TURN_LENT,
  TURN_LOCKED,
  TURN_MISSED,
  TURN_SIGNALS,
  TURN_WORKED,
} from '../../layout/processor.ts';
import { RING_FAULT } from '../../layout/virtqueue.ts';
import { Windows } from '../memory/windows.ts';
import { elapsedMicroseconds, monotonicMicroseconds, monotonicTime } from '../os/clock.ts';
import { Load } from '../os/load.ts';
import { nap, sleepPrecisely } from '../os/nap.ts';
import { freeLocks, markFaulted } from '../state/last-will.ts';
import { Pulse } from '../watchdog/pulse.ts';
import { AddressSpace } from './address-space.ts';
import { Calls } from './calls.ts';
import { Countdown } from './countdown.ts';
import { DeferredInterrupts } from './deferred-interrupts.ts';
import { publishFigures } from './figures.ts';
import { type Firmware, loadFirmware } from './firmware.ts';
import { Inbox } from './inbox.ts';
import { KickWaiter } from './kick-waiter.ts';
import type { ProcessorOptions, Report } from './mailbox.ts';
import { MessageHandler } from './message-handler.ts';
import { Misses } from './misses.ts';
import { NAP_MICROSECONDS, Pace } from './pace.ts';
import { RequestQueues } from './request-queues.ts';
import { ringRecordAt } from './ring-record-at.ts';
import { Translations } from './translations.ts';
import { UplinkPorts } from './uplink-ports.ts';

/** Turns between two clock readings while busy. Ageing counts in seconds. */
const CLOCK_TURNS = 4096;

/** For so long, in microseconds, a sleep is not worth its cost. */
const HELD_MICROSECONDS = 20;

/** Microseconds to wait at a time for a ring that another processor has locked. */
const LOCKED_MICROSECONDS = 50;

/**
 * Microseconds between two polls for uplink events while busy. Each poll is a system call. Counted
 * in time and not in turns: these may be long, and what comes in would wait for many of them.
 */
const UPLINK_MICROSECONDS = 30;

/** Limit of firmware calls per turn. The firmware is called again after each wait. */
const CALLS_PER_TURN_MAX = 8;
const TURN_WAITS = TURN_MISSED | TURN_LENT | TURN_LOCKED;

/** The life of a network processor: messages, turn, windows, interrupts, pace. */
export class ProcessorLoop {
  readonly #port: MessagePort;
  readonly #firmware: Firmware;
  readonly #windows: Windows;
  readonly #misses: Misses;
  readonly #translations: Translations;
  readonly #inbox: Inbox;
  readonly #waiter: KickWaiter;
  readonly #load = new Load();
  readonly #pace: Pace;
  readonly #uplinks: UplinkPorts;
  readonly #requestQueues: RequestQueues;
  readonly #deferred: DeferredInterrupts;
  readonly #calls: Calls;
  readonly #space: AddressSpace;
  readonly #pulse: Pulse;
  // Views are created once, because the loop must not allocate.
  readonly #view: DataView;
  readonly #registers: Int32Array;
  readonly #counters: BigUint64Array;
  readonly #faults: Uint32Array;
  readonly #index: number;
  readonly #record: Int32Array;
  readonly #clockCountdown = new Countdown(CLOCK_TURNS);
  #turns = 0;
  #sleeps = 0;
  #isMidBatch = false;
  /** When uplink events were polled last. */
  #polledUplinks = 0;

  constructor(options: ProcessorOptions, port: MessagePort) {
    this.#port = port;
    this.#index = options.index;
    this.#space = new AddressSpace(options.sharedFd);
    const { memory, slotsOffset, pinsOffset } = this.#space;
    this.#firmware = loadFirmware(options.firmware, memory);
    if (this.#firmware.layoutHash.value !== options.layoutHash) {
      throw new Error('assertion: the firmware was built from another layout; run the build');
    }
    this.#firmware.configure(options.index, options.processorCount, options.macAgeSeconds);
    this.#windows = new Windows(memory, this.#firmware, slotsOffset, pinsOffset);
    this.#windows.onOutside = (owner, address) => this.#report({ kind: 'outside', owner, address });
    this.#misses = new Misses(this.#windows, memory.buffer, this.#firmware.othersWait);
    this.#pace = new Pace({
      now: monotonicMicroseconds,
      // A reserved CPU is not contested, however busy the machine is.
      isContested: () => options.cpu === null && this.#load.isContested(),
      sentBytes: () => this.#registers[REGISTER_SENT_BYTES / 4] ?? 0,
    });
    // The kernel may refuse either. `run`, which closes both, is not reached in that case.
    this.#calls = new Calls(memory.buffer, options.sharedFd);
    try {
      this.#waiter = new KickWaiter(options.wakeFd);
    } catch (error) {
      this.#calls.close();
      throw error;
    }
    this.#uplinks = new UplinkPorts(this.#space, this.#firmware, this.#waiter, (port, reason) =>
      this.#report({ kind: 'uplink-lost', port, reason }),
    );
    this.#translations = new Translations(this.#firmware, memory.buffer, (report) =>
      this.#report(report),
    );
    this.#deferred = new DeferredInterrupts(memory.buffer);
    this.#requestQueues = new RequestQueues(this.#firmware, memory.buffer, {
      resolveMiss: () => this.#misses.resolve(),
      onUntranslated: () => this.#translations.drain(),
      call: (ring) => this.#calls.raise(ring),
      report: (report) => this.#report(report),
    });
    const handler = new MessageHandler({
      space: this.#space,
      firmware: this.#firmware,
      windows: this.#windows,
      translations: this.#translations,
      waiter: this.#waiter,
      calls: this.#calls,
      uplinks: this.#uplinks,
      requestQueues: this.#requestQueues,
    });
    const { buffer } = memory;
    this.#view = new DataView(buffer);
    const counterWords = (RING_COUNT_MAX * COUNTER_RECORD_SIZE) / 8;
    this.#counters = new BigUint64Array(buffer, SHARED_BASE + SHARED_COUNTERS, counterWords);
    this.#registers = new Int32Array(buffer, REGISTERS_BASE, 64);
    this.#faults = new Uint32Array(buffer, FAULT_LIST_BASE, RING_COUNT_MAX);
    const record = SHARED_BASE + SHARED_PROCESSORS + options.index * PROCESSOR_RECORD_SIZE;
    this.#record = new Int32Array(buffer, record, PROCESSOR_RECORD_SIZE / 4);
    this.#record[PROCESSOR_SLOTS / 4] = SLOT_COUNT_MAX;
    this.#pulse = new Pulse(options.pulse);
    this.#pulse.begin(memory.base + REGISTERS_BASE + REGISTER_CURRENT_RING);
    this.#inbox = new Inbox({
      ...{ port, handler, record: this.#record, pulse: this.#pulse },
      ...{ firmware: this.#firmware, windows: this.#windows },
      report: (report) => this.#report(report),
    });
    this.#report({ kind: 'started' });
  }

  run(): void {
    try {
      this.#loop();
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      const ring = this.#registers[REGISTER_CURRENT_RING / 4] ?? 0;
      markFaulted(new Int32Array(this.#view.buffer), SHARED_BASE + SHARED_RINGS, ring);
      this.#report({ kind: 'trap', ring, message: error.message });
    } finally {
      freeLocks(new Int32Array(this.#view.buffer), SHARED_BASE + SHARED_RINGS, this.#index);
      this.#waiter.close();
      this.#load.close();
      this.#calls.close();
    }
  }

  #loop(): void {
    sleepPrecisely();
    this.#updateClock();
    while (!this.#inbox.isStopped) {
      if (!this.#isMidBatch) this.#lookAround();
      const flags = this.#uplinks.count === 0 ? this.#turn(this.#whom()) : this.#exchange();
      if ((flags & TURN_BUSY) !== 0) {
        this.#pace.worked();
        if (!this.#isMidBatch) this.#translations.lookNowAndThen();
      } else {
        this.#rest();
      }
    }
  }

  /** Between two turns, while no batch waits. */
  #lookAround(): void {
    if (this.#inbox.hasMessages) this.#takeMessages();
    if (this.#requestQueues.count !== 0) this.#requestQueues.look();
    if (this.#windows.hasLeftovers) this.#inbox.sweep();
  }

  #whom(): number {
    return this.#pace.putsOff ? INTERRUPT_RECEIVERS : INTERRUPT_ALL;
  }

  /**
   * A turn between a pull and a push of the uplinks. The kernel often answers a frame before the
   * call that sends it returns. These answers are pulled, too, so the guest gets one interrupt.
   */
  #exchange(): number {
    const now = monotonicMicroseconds();
    if (elapsedMicroseconds(this.#polledUplinks, now) >= UPLINK_MICROSECONDS) {
      this.#polledUplinks = now;
      this.#takeEvents(0);
    }
    let moved = this.#uplinks.pull();
    let flags = this.#turn(INTERRUPT_NOBODY);
    moved += this.#uplinks.push();
    // Even if nothing moved: an interrupt that was held back may be due.
    if (this.#deferred.count !== 0) {
      moved += this.#uplinks.pull();
      flags |= this.#turn(this.#whom());
    }
    return moved === 0 ? flags : flags | TURN_WORKED;
  }

  /**
   * One turn: calls the firmware, and again after each wait. A batch may still be waiting at the
   * end. Work that needs rings and memory at rest is then postponed.
   */
  #turn(whom: number): number {
    if (this.#deferred.count !== 0) this.#deferred.updateClock();
    let seen = TURN_IDLE;
    this.#isMidBatch = false;
    for (let calls = 0; calls < CALLS_PER_TURN_MAX; calls++) {
      const flags = this.#firmware.turn(whom);
      seen |= flags;
      if ((flags & TURN_SIGNALS) !== 0) this.#tell((flags & TURN_WORKED) === 0);
      this.#isMidBatch = (flags & TURN_WAITS) !== 0 && this.#firmware.isMidBatch() !== 0;
      if (!this.#isMidBatch) this.#misses.endBatch();
      if ((flags & TURN_WAITS) === 0) break;
      this.#endWait(flags);
    }
    // Receivers that already have their frames need not wait for the rest of the batch.
    if (this.#isMidBatch && whom !== INTERRUPT_NOBODY) this.#interruptRest();
    this.#turns += 1;
    this.#pulse.beat();
    if (this.#clockCountdown.isOver()) this.#updateClock();
    return seen;
  }

  #endWait(flags: number): void {
    if ((flags & TURN_LENT) !== 0) this.#uplinks.sendLent();
    else if ((flags & TURN_LOCKED) !== 0) nap(LOCKED_MICROSECONDS);
    else if (this.#isMidBatch) this.#misses.resolveDelivery();
    else this.#misses.resolve();
  }

  /** `isAfter`: that turn found nothing, so it has closed the accounts of those before it. */
  #tell(isAfter: boolean): void {
    if (isAfter) this.#firmware.beginHostWork();
    this.#calls.raiseListed();
    if (isAfter) this.#firmware.chargeServed();
    this.#reportFaults();
    this.#translations.drain();
    this.#requestQueues.notice();
  }

  #reportFaults(): void {
    const count = this.#registers[REGISTER_FAULT_COUNT / 4] ?? 0;
    for (let i = 0; i < count; i++) {
      const ring = this.#faults[i] ?? 0;
      const fault = this.#view.getUint32(ringRecordAt(ring) + RING_FAULT, true);
      this.#report({ kind: 'ring-fault', ring, fault });
    }
    this.#registers[REGISTER_FAULT_COUNT / 4] = 0;
    const loop = this.#registers[REGISTER_LOOP_PORT / 4] ?? 0;
    if (loop === 0) return;
    const other = (this.#registers[REGISTER_LOOP_OTHER / 4] ?? 0) - 1;
    this.#report({ kind: 'uplink-loop', port: loop - 1, other });
    this.#registers[REGISTER_LOOP_PORT / 4] = 0;
  }

  #takeMessages(): void {
    this.#interruptRest(); // before messages change the rings
    this.#inbox.take();
    // A message may have added memory where there was none, so the last "invalid address" is void.
    this.#registers[REGISTER_INVALID_FUNCTION / 4] = 0;
    this.#translations.lookAhead();
    this.#requestQueues.retry(); // what a request waited for may have arrived
    this.#publishFigures();
  }

  #rest(): void {
    // Who has something to send may not yet, and nobody else is active: nothing to spin for.
    const isHeld = this.#firmware.heldMicroseconds() > HELD_MICROSECONDS;
    const rest = isHeld ? 'sleep' : this.#pace.rest();
    if (rest === 'nap') nap(NAP_MICROSECONDS);
    if (rest === 'sleep') this.#sleep();
  }

  #interruptRest(): void {
    if (this.#firmware.interruptRest() !== 0) this.#calls.raiseListed();
  }

  /** Idle pacing: enables kicks, checks once more, then sleeps until a kick or a message. */
  #sleep(): void {
    this.#interruptRest();
    this.#publishFigures();
    this.#translations.lookAhead();
    this.#reportFaults();
    this.#requestQueues.retry();
    this.#requestQueues.serve();
    const hasMore = this.#requestQueues.isDue || this.#windows.hasLeftovers;
    const isBusy = this.#uplinks.arm() || this.#firmware.arm() !== 0 || hasMore;
    if (!isBusy && !this.#inbox.hasMessages) {
      this.#sleeps += 1;
      const started = monotonicMicroseconds();
      this.#pulse.rest(true);
      this.#waiter.setAlarm(this.#firmware.wakeMicroseconds());
      this.#takeEvents(this.#sleepMilliseconds());
      this.#pulse.rest(false);
      this.#pace.slept(elapsedMicroseconds(started, monotonicMicroseconds()));
    } else {
      this.#pace.worked();
    }
    this.#firmware.disarm();
    this.#uplinks.disarm();
    this.#updateClock();
  }

  /** −1: no limit. */
  #sleepMilliseconds(): number {
    const uplinks = this.#uplinks.sleepMilliseconds();
    const requests = this.#requestQueues.sleepMilliseconds();
    return sooner(sooner(uplinks, requests), this.#deferred.sleepMilliseconds());
  }

  #takeEvents(milliseconds: number): void {
    const count = this.#waiter.wait(milliseconds);
    for (let i = 0; i < count; i++) {
      const token = this.#waiter.kicked(i);
      if (token >= 0) this.#countKick(token);
      else if (token !== -1) this.#uplinks.onEvent(token, this.#waiter.eventsOf(i));
    }
  }

  #countKick(ring: number): void {
    if (this.#requestQueues.has(ring)) this.#requestQueues.wake(ring);
    const at = (ring * COUNTER_RECORD_SIZE) / 8 + COUNTER_KICKS;
    this.#counters[at] = (this.#counters[at] ?? 0n) + 1n;
  }

  #updateClock(): void {
    const [seconds, nanoseconds] = monotonicTime();
    this.#registers[REGISTER_NOW_SECONDS / 4] = seconds;
    this.#firmware.setClock(seconds, nanoseconds);
    this.#publishFigures();
  }

  #publishFigures(): void {
    publishFigures(this.#record, this.#turns, this.#sleeps, this.#windows);
  }

  #report(report: Report): void {
    this.#port.postMessage(report);
  }
}

/** The earlier of two times; −1 means never. */
function sooner(a: number, b: number): number {
  return a < 0 || b < 0 ? Math.max(a, b) : Math.min(a, b);
}
