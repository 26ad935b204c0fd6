import { Worker } from 'node:worker_threads';
import { cpusOf, THIS_THREAD } from '../../src/os/cpu-affinity.ts';
import {
  cpusIn,
  milliseconds,
  STANDSTILLS_KEPT,
  standstillRecord,
  standstillsOf,
} from './standstill-record.ts';

const WATCH = new URL('../../build/test/support/standstill-watch.js', import.meta.url);

/** Longer than a CPU ever stands still: if nothing is seen for this long, the watch has ended. */
const SEEN_MILLISECONDS_MAX = 1000;

/**
 * Records when the CPUs of a virtual machine stand still because the host uses them for something
 * else. The kernel accounts such time to the running thread. A thread that waits for another CPU,
 * for example to flush its TLB, waits for the host as well.
 */
export class StandstillWatch {
  readonly memory: SharedArrayBuffer;
  readonly #isOver = new Int32Array(new SharedArrayBuffer(4));
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
  }

  static async start(): Promise<StandstillWatch> {
    const cpus = cpusOf(THIS_THREAD);
    const watch = new StandstillWatch(standstillRecord(Math.max(...cpus) + 1));
    await watch.#begin(cpus);
    return watch;
  }

  async #begin(cpus: readonly number[]): Promise<void> {
    const workerData = { memory: this.memory, cpus, over: this.#isOver.buffer };
    const env = { PATH: process.env.PATH };
    const worker = new Worker(WATCH, { workerData, env, execArgv: [] });
    this.#ended = new Promise((settle) => {
      worker.once('exit', settle);
    });
    await new Promise<void>((settle) => {
      worker.once('message', () => settle());
      worker.once('error', (error) => {
        console.log(`standstills go unseen: ${error.message}`);
        settle();
      });
    });
    worker.unref();
  }

  async close(): Promise<void> {
    Atomics.store(this.#isOver, 0, 1);
    Atomics.notify(this.#isOver, 0);
    await this.#ended;
  }
}

/** Milliseconds between `start` and `end` in which some CPU stood still. */
export function stoodStill(record: Float64Array, start: number, end: number): number {
  const spans: [number, number][] = [];
  for (let cpu = 0; cpu < cpusIn(record); cpu++) spans.push(...spansOf(record, cpu, end));
  let total = 0;
  let covered = start;
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
    const [first, last] = [Math.max(from, covered), Math.min(to, end)];
    if (last <= first) continue;
    total += last - first;
    covered = last;
  }
  return total;
}

/** The standstills of one CPU, once all up to `end` are known. */
function spansOf(record: Float64Array, cpu: number, end: number): [number, number][] {
  const { seen, count, at } = standstillsOf(cpu);
  if (record[seen] === 0) return [];
  while ((record[seen] ?? 0) < end && milliseconds() < end + SEEN_MILLISECONDS_MAX);
  const known = record[count] ?? 0;
  const spans: [number, number][] = [];
  for (let number = Math.max(0, known - STANDSTILLS_KEPT); number < known; number++) {
    spans.push([record[at(number)] ?? 0, record[at(number) + 1] ?? 0]);
  }
  return spans;
}
