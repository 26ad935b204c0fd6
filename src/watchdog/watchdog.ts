import { Worker } from 'node:worker_threads';
import { inBackground, reportFailure } from '../background.ts';
import { OWN_SLOT, PULSES_SIZE_BYTES, Pulse, type PulseSlot, SLOT_COUNT } from './pulse.ts';

/** Messages to the watchdog. */
export type WatchdogOrder =
  | { kind: 'watch'; slot: number; name: string; busySeconds: number; isAsked: boolean }
  | { kind: 'forget'; slot: number }
  /** The answer to `hang`. */
  | { kind: 'work'; work: string };

/** Messages from it: it has begun, a thread should answer, a thread hangs while serving a ring. */
export type WatchdogReport =
  | { kind: 'begun' }
  | { kind: 'ask'; slot: number }
  | { kind: 'hang'; slot: number; ring: number };

export interface Watched {
  /** Its name in the message if it hangs. */
  readonly name: string;
  /** The name of a ring, for the same message. */
  describeRing?(ring: number): string;
}

/** A watched thread. */
export interface Watch {
  /** For the thread's own `Pulse`. */
  readonly pulse: PulseSlot;
  /** The watchdog's thread has begun and loads nothing any more. */
  readonly begun: Promise<void>;
  end(): Promise<void>;
  /** For the end of the process: blocks until the thread, having been asked to end, has ended. */
  awaitEnd(): void;
}

/** CPU seconds for a turn of a processor, and of the control plane, which may have much to do. */
const PROCESSOR_BUSY_SECONDS = 2;
const MAIN_BUSY_SECONDS = 10;

/** Much more than threads need to load their modules, even on a busy machine. */
const LOAD_MILLISECONDS_MAX = 2000;
/** And more than they need to end. */
const END_MILLISECONDS_MAX = 500;

/** The one watchdog of this process. Its thread lives as long as there is something to watch. */
class Watchdog {
  readonly #memory = new SharedArrayBuffer(PULSES_SIZE_BYTES);
  readonly #watched = new Map<number, Watched>();
  readonly #worker = new Worker(workerUrl(), {
    workerData: this.#memory,
    name: 'heddle/watchdog',
    execArgv: [],
  });
  readonly #pulse = new Pulse({ memory: this.#memory, slot: OWN_SLOT });
  readonly #begun: Promise<void>;
  readonly #ended: Promise<void>;
  #hasEnded = false;

  constructor() {
    this.#ended = new Promise((settle) => {
      this.#worker.once('exit', () => {
        this.#hasEnded = true;
        settle();
      });
    });
    this.#begun = new Promise((settle) => {
      this.#worker.once('message', () => settle());
      // The NIC also works without a watchdog; its absence is reported.
      inBackground('wait for the watchdog', this.#ended.then(settle));
    });
    this.#worker.on('message', (report: WatchdogReport) => this.#hear(report));
    this.#worker.on('error', (error) => reportFailure('watch the threads', error));
    this.#worker.unref(); // its listeners would keep the process alive
  }

  watch(watched: Watched, busySeconds: number, isAsked: boolean): Watch {
    const slot = this.#freeSlot();
    this.#watched.set(slot, watched);
    const pulse = { memory: this.#memory, slot };
    new Pulse(pulse).clear();
    this.#order({ kind: 'watch', slot, name: watched.name, busySeconds, isAsked });
    return {
      pulse,
      begun: this.#begun,
      end: () => this.#end(slot),
      awaitEnd: () => awaitEnd(new Pulse(pulse)),
    };
  }

  async #end(slot: number): Promise<void> {
    if (!this.#watched.delete(slot)) return;
    new Pulse({ memory: this.#memory, slot }).end();
    this.#order({ kind: 'forget', slot });
    if (this.#watched.size > 0) return;
    if (current === this) current = null;
    this.#pulse.askToEnd();
    this.#worker.ref(); // the process must not exit while somebody waits for this
    await this.#ended;
  }

  leave(): void {
    if (this.#hasEnded) return;
    this.#pulse.askToEnd();
    awaitEnd(this.#pulse);
  }

  #freeSlot(): number {
    for (let slot = 0; slot < SLOT_COUNT; slot++) if (!this.#watched.has(slot)) return slot;
    throw new Error(`assertion: more than ${SLOT_COUNT} threads to watch`);
  }

  #hear(report: WatchdogReport): void {
    if (report.kind === 'begun') return;
    if (report.kind === 'ask') {
      new Pulse({ memory: this.#memory, slot: report.slot }).rest(true);
      return;
    }
    const work = this.#watched.get(report.slot)?.describeRing?.(report.ring);
    this.#order({ kind: 'work', work: work ?? `ring ${report.ring}` });
  }

  #order(order: WatchdogOrder): void {
    this.#worker.postMessage(order);
  }
}

let current: Watchdog | null = null;

process.once('exit', () => current?.leave());

/**
 * Blocks until a thread that was asked to end has ended. For the end of the process: Node then
 * terminates its threads, and one that is loading a native module, or is in a call into it, would
 * abort the process.
 */
function awaitEnd(pulse: Pulse): void {
  pulse.waitForBegin(LOAD_MILLISECONDS_MAX);
  pulse.waitUntilEnded(END_MILLISECONDS_MAX);
}

/** Watches a processor's thread from its pulse's `begin` on. */
export function watchProcessor(watched: Watched): Watch {
  current ??= new Watchdog();
  return current.watch(watched, PROCESSOR_BUSY_SECONDS, false);
}

/**
 * Watches the calling thread: twice a second it is asked to answer. Only for programs that keep
 * their main thread free.
 */
export function watchMainThread(): Watch {
  current ??= new Watchdog();
  const watch = current.watch({ name: 'the main thread' }, MAIN_BUSY_SECONDS, true);
  const pulse = new Pulse(watch.pulse);
  pulse.begin();
  pulse.rest(true);
  return watch;
}

/** Node 20 cannot run TypeScript: sources in a checkout use the build in dist/. */
function workerUrl(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(isSource ? '../../dist/src/watchdog/worker.js' : './worker.js', import.meta.url);
}
