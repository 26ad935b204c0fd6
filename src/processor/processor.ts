import { Worker } from 'node:worker_threads';
import { PROCESSOR_DOORBELL } from '../../layout/processor.ts';
import { inBackground } from '../background.ts';
import { createEventFd, raiseEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import type { SharedState } from '../state/shared-state.ts';
import { type Watch, watchProcessor } from '../watchdog/watchdog.ts';
import { layoutHash } from './layout-hash.ts';
import { errorOf, type Message, type ProcessorOptions, type Report } from './mailbox.ts';

/** How a processor's thread ended. */
export interface Death {
  /** The ring being served when it trapped; −1 if our own code failed. */
  ring: number;
  message: string;
}

export interface ProcessorListener {
  /** Name of a ring for messages. */
  describeRing(ring: number): string;
  onRingFault(ring: number, fault: number): void;
  /** A guest has a request. Its answer is posted as `answer-request`. */
  onRequest(ring: number, id: number, bytes: Uint8Array | null, room: number): void;
  /** An uplink's wire no longer moves anything. */
  onUplinkLost(port: number, reason: string): void;
  /** Two uplinks lead to the same network. */
  onUplinkLoop(port: number, other: number): void;
  /** A guest behind an IOMMU names an address that has no known translation. */
  onUntranslated(owner: number, iova: bigint, access: number): void;
  onOutside(owner: number, address: bigint): void;
  /** The thread ended without being told to. */
  onDeath(death: Death): void;
}

export interface ProcessorSettings {
  index: number;
  processorCount: number;
  macAgeSeconds: number;
  cpu: number | null;
  firmware: Uint8Array;
}

type Settle = (result: boolean) => void;
type Fail = (error: Error) => void;

/** When Node exits, it joins its threads, and waits forever for one that sleeps in the kernel. */
const alive = new Set<Processor>();
process.once('exit', () => {
  for (const processor of alive) inBackground('stop a processor', processor.stop());
  for (const processor of alive) processor.awaitEnd();
});

/** What the supervisor needs from a processor. */
export interface ProcessorHandle {
  /** Resolves once the firmware is loaded and the thread is watched. Rejects if that fails. */
  started(): Promise<void>;
  /**
   * Posts a message. Resolves with its answer, or with false if the thread dies first. Rejects if
   * the message failed.
   */
  post(message: Message): Promise<boolean>;
  /** Resolves when the thread has ended and its listener has been told. */
  ended(): Promise<void>;
  stop(): Promise<void>;
}

/** The control plane's handle of one processor thread. Posts messages and awaits their answers. */
export class Processor implements ProcessorHandle {
  readonly index: number;
  readonly #shared: SharedState;
  readonly #worker: Worker;
  readonly #wakeFd = createEventFd();
  readonly #watch: Watch;
  readonly #listener: ProcessorListener;
  readonly #pending = new Map<number, { settle: Settle; fail: Fail }>();
  readonly #started: Promise<void>;
  readonly #ended: Promise<void>;
  #lastId = 0;
  #isStopping = false;
  #death: Death | null = null;

  constructor(settings: ProcessorSettings, shared: SharedState, listener: ProcessorListener) {
    this.index = settings.index;
    this.#shared = shared;
    this.#listener = listener;
    let watch: Watch | undefined;
    try {
      watch = watchProcessor({
        name: `processor ${settings.index}`,
        describeRing: (ring) => listener.describeRing(ring),
      });
      this.#watch = watch;
      const options: ProcessorOptions = {
        ...settings,
        sharedFd: shared.fd,
        wakeFd: this.#wakeFd,
        pulse: watch.pulse,
        layoutHash: layoutHash(),
      };
      this.#worker = new Worker(workerUrl(), {
        workerData: options,
        name: `heddle/${this.index}`,
        execArgv: [], // the program's own, such as --input-type, may not fit the worker's file
      });
    } catch (error) {
      c.close(this.#wakeFd);
      inBackground('end the watch of a processor', watch?.end());
      throw error;
    }
    alive.add(this);
    const loaded = new Promise<void>((settle, fail) => {
      this.#worker.once('message', () => settle());
      this.#worker.once('error', fail);
    });
    this.#started = loaded.then(() => this.#watch.begun);
    this.#started.catch(() => undefined); // once it runs, `onDeath` reports the same
    this.#worker.on('message', (report: Report) => this.#receive(report));
    this.#worker.on('error', (error) => {
      this.#death ??= { ring: -1, message: error.message };
    });
    this.#ended = new Promise((settle) => {
      this.#worker.on('exit', () => {
        alive.delete(this);
        this.#exited();
        settle();
      });
    });
  }

  started(): Promise<void> {
    return this.#started;
  }

  ended(): Promise<void> {
    return this.#ended;
  }

  /** A message posted before the thread runs waits for it. */
  post(message: Message): Promise<boolean> {
    if (this.#death !== null || this.#isStopping) return Promise.resolve(false);
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<boolean>((settle, fail) => {
      this.#pending.set(id, { settle, fail });
    });
    this.#worker.postMessage({ id, message });
    // The message is in the port before the bell rings, so the processor cannot miss it.
    this.#shared.ring(this.index, PROCESSOR_DOORBELL);
    raiseEventFd(this.#wakeFd);
    return answer;
  }

  async stop(): Promise<void> {
    inBackground('stop a processor', this.post({ kind: 'stop' }));
    this.#isStopping = true;
    await this.#ended;
    await this.#watch.end();
  }

  /** For process exit: blocks until the thread, which has been told to stop, has ended. */
  awaitEnd(): void {
    this.#watch.awaitEnd();
  }

  #receive(report: Report): void {
    switch (report.kind) {
      case 'started':
        return;
      case 'ring-fault':
        this.#listener.onRingFault(report.ring, report.fault);
        return;
      case 'request':
        this.#listener.onRequest(report.ring, report.id, report.bytes, report.room);
        return;
      case 'uplink-loop':
        this.#listener.onUplinkLoop(report.port, report.other);
        return;
      case 'uplink-lost':
        this.#listener.onUplinkLost(report.port, report.reason);
        return;
      case 'untranslated':
        this.#listener.onUntranslated(report.owner, report.iova, report.access);
        return;
      case 'outside':
        this.#listener.onOutside(report.owner, report.address);
        return;
      case 'trap':
        this.#death = { ring: report.ring, message: report.message };
        return;
      case 'done':
        this.#take(report.id)?.settle(report.result);
        return;
      case 'failed':
        this.#take(report.id)?.fail(errorOf(report));
        return;
    }
  }

  #take(id: number): { settle: Settle; fail: Fail } | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }

  #exited(): void {
    c.close(this.#wakeFd);
    if (!this.#isStopping) this.#death ??= { ring: -1, message: 'the thread ended by itself' };
    for (const { settle } of this.#pending.values()) settle(false);
    this.#pending.clear();
    if (this.#death === null || this.#isStopping) return;
    this.#listener.onDeath(this.#death);
    inBackground('end the watch of a processor', this.#watch.end());
  }
}

/** Node 20 cannot run TypeScript, so a checkout uses the worker that the build left in dist/. */
function workerUrl(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  const path = isSource ? '../../dist/src/processor/worker.js' : './worker.js';
  return new URL(path, import.meta.url);
}
