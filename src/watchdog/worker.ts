import {
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  workerData,
} from 'node:worker_threads';
import { operatorError } from '../errors.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { endProcess } from '../os/last-words.ts';
import { OWN_SLOT, Pulse } from './pulse.ts';
import { readThreadState, readWord } from './thread-state.ts';
import { type Finding, Vigil } from './vigil.ts';
import type { WatchdogOrder, WatchdogReport } from './watchdog.ts';

const TICK_SECONDS = 0.5;
/** A tick this late proves nothing: this process or the machine was stopped. */
const LATE_SECONDS = 0.25;
/** How long the main thread has to name a ring; it may hang too. */
const ANSWER_SECONDS = 0.5;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_STATUS = 70;

interface Watched {
  name: string;
  isAsked: boolean;
  pulse: Pulse;
  vigil: Vigil;
}

/** The watchdog's thread: it waits and looks, and does nothing else. */
class WatchdogLoop {
  readonly #port: MessagePort;
  readonly #memory: SharedArrayBuffer;
  readonly #watched = new Map<number, Watched>();
  readonly #own: Pulse;
  #work: string | null = null;

  constructor(port: MessagePort, memory: SharedArrayBuffer) {
    this.#port = port;
    this.#memory = memory;
    this.#own = new Pulse({ memory, slot: OWN_SLOT });
  }

  /** Runs until it is asked to end. */
  run(): void {
    this.#own.begin();
    this.#say({ kind: 'begun' });
    let last = monotonicSeconds();
    while (!this.#own.waitForEnd(TICK_SECONDS * 1000)) {
      this.#takeOrders();
      const now = monotonicSeconds();
      const isLate = now - last > TICK_SECONDS + LATE_SECONDS;
      for (const [slot, watched] of this.#watched)
        this.#look(slot, watched, isLate ? 0 : now - last);
      last = now;
    }
    this.#own.end();
  }

  #takeOrders(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      const order = received.message as WatchdogOrder;
      if (order.kind === 'forget') this.#watched.delete(order.slot);
      if (order.kind === 'work') this.#work = order.work;
      if (order.kind !== 'watch') continue;
      const { slot, name, isAsked, busySeconds } = order;
      const pulse = new Pulse({ memory: this.#memory, slot });
      this.#watched.set(slot, { name, isAsked, pulse, vigil: new Vigil(busySeconds) });
    }
  }

  #look(slot: number, { name, pulse, vigil, isAsked }: Watched, seconds: number): void {
    const { thread, beats, isResting } = pulse;
    if (thread === 0) return;
    const state = () => readThreadState(thread);
    const finding = vigil.look({ beats, isResting, seconds, state });
    // It may have ended or continued while we looked.
    if (finding !== null && pulse.thread === thread && pulse.beats === beats) {
      this.#end(name, slot, pulse, finding);
    }
    if (!isAsked || !isResting) return;
    pulse.rest(false);
    this.#say({ kind: 'ask', slot });
  }

  #end(thread: string, slot: number, pulse: Pulse, finding: Finding): never {
    const { call, sleepsIn } = finding.state;
    const ring = readWord(pulse.ringAddress);
    const work = ring < 0 ? '' : `, while serving ${this.#ask(slot, ring)}`;
    const where =
      finding.how === 'busy'
        ? 'it runs without finishing a turn'
        : `it sleeps in ${sleepsIn}, system call ${call}`;
    const error = operatorError('HEDDLE_THREAD_STUCK', { thread, where: where + work });
    endProcess(`heddle: ${error.message} (${error.code})\n  ${error.hint}\n`, EXIT_STATUS);
  }

  #ask(slot: number, ring: number): string {
    this.#say({ kind: 'hang', slot, ring });
    const end = monotonicSeconds() + ANSWER_SECONDS;
    while (this.#work === null && monotonicSeconds() < end) {
      wait(0.01);
      this.#takeOrders();
    }
    return this.#work ?? `ring ${ring}`;
  }

  #say(report: WatchdogReport): void {
    this.#port.postMessage(report);
  }
}

const NOBODY_RINGS = new Int32Array(new SharedArrayBuffer(4));

function wait(seconds: number): void {
  Atomics.wait(NOBODY_RINGS, 0, 0, seconds * 1000);
}

if (parentPort !== null) new WatchdogLoop(parentPort, workerData as SharedArrayBuffer).run();
