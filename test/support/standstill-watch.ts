import { arch } from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { c } from '../../src/os/libc.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { scratch } from '../../src/os/scratch.ts';
import { checked } from '../../src/os/system-error.ts';
import { milliseconds, standstillsOf } from './standstill-record.ts';

// Lets a timer of the kernel interrupt each CPU every PERIOD_NS, and looks at when it did
// (perf_event_open(2), PERF_COUNT_SW_CPU_CLOCK). If an interrupt is late, the CPU stood still: on a
// virtual machine, the host had taken it. Long system calls do not delay interrupts, so what they
// cost still counts.

const PERIOD_NS = 200_000;
/** Later than the timer ever is on a CPU that runs. */
const LATE_NS = 100_000;
/** Between two looks at what the kernel has recorded. */
const LOOK_MILLISECONDS = 1;

const PERF_EVENT_OPEN = arch === 'arm64' ? 241 : 298;
const PERF_FLAG_FD_CLOEXEC = 8;
const PERF_TYPE_SOFTWARE = 1;
const PERF_SAMPLE_TIME = 4;
const PERF_RECORD_SAMPLE = 9;
const USE_CLOCK_ID = 1 << 25;
const CLOCK_MONOTONIC = 1;
/** Offsets in struct perf_event_attr, and its size. */
const ATTRIBUTES = { TYPE: 0, SIZE: 4, PERIOD: 16, SAMPLE: 24, FLAGS: 40, CLOCK: 92, END: 104 };
/** Offsets in the first page of the kernel's ring of records. */
const RING = { HEAD: 1024, TAIL: 1032 };
const PAGE_BYTES = 4096;
const RECORDS_BYTES = 64 * PAGE_BYTES;

interface WatchSettings {
  memory: SharedArrayBuffer;
  /** An Int32Array whose only number is set when the watch is over. */
  over: SharedArrayBuffer;
  cpus: readonly number[];
}

class CpuWatch {
  readonly #memory = new LinearMemory(PAGE_BYTES + RECORDS_BYTES);
  readonly #fd: number;
  readonly #ring: DataView;
  readonly #indices: BigUint64Array;
  readonly #record: Float64Array;
  readonly #places: ReturnType<typeof standstillsOf>;
  #last = 0n;

  constructor(cpu: number, record: Float64Array) {
    this.#fd = openTimer(cpu);
    this.#memory.map(0, PAGE_BYTES + RECORDS_BYTES, this.#fd, 0);
    this.#ring = new DataView(this.#memory.buffer);
    this.#indices = new BigUint64Array(this.#memory.buffer, 0, PAGE_BYTES / 8);
    this.#record = record;
    this.#places = standstillsOf(cpu);
  }

  look(): void {
    const now = milliseconds();
    const head = Atomics.load(this.#indices, RING.HEAD / 8);
    let tail = this.#indices[RING.TAIL / 8] ?? 0n;
    while (tail < head) {
      const at = PAGE_BYTES + Number(tail % BigInt(RECORDS_BYTES));
      const type = this.#ring.getUint32(at, true);
      if (type === PERF_RECORD_SAMPLE) this.#note(this.#ring.getBigUint64(at + 8, true));
      else this.#last = 0n; // the kernel has stopped the timer for a moment, or lost a record
      tail += BigInt(this.#ring.getUint16(at + 6, true));
    }
    Atomics.store(this.#indices, RING.TAIL / 8, tail);
    this.#record[this.#places.seen] = now - (PERIOD_NS + LATE_NS) / 1e6;
  }

  close(): void {
    this.#memory.unmap(0, PAGE_BYTES + RECORDS_BYTES);
    c.close(this.#fd);
  }

  #note(time: bigint): void {
    const due = this.#last + BigInt(PERIOD_NS);
    if (this.#last !== 0n && time - due > LATE_NS) {
      const number = this.#record[this.#places.count] ?? 0;
      this.#record[this.#places.at(number)] = Number(due) / 1e6;
      this.#record[this.#places.at(number) + 1] = Number(time) / 1e6;
      this.#record[this.#places.count] = number + 1;
    }
    this.#last = time;
  }
}

function openTimer(cpu: number): number {
  const { address, bytes, view } = scratch;
  bytes.fill(0, 0, ATTRIBUTES.END);
  view.setUint32(ATTRIBUTES.TYPE, PERF_TYPE_SOFTWARE, true);
  view.setUint32(ATTRIBUTES.SIZE, ATTRIBUTES.END, true);
  view.setUint32(ATTRIBUTES.PERIOD, PERIOD_NS, true);
  view.setUint32(ATTRIBUTES.SAMPLE, PERF_SAMPLE_TIME, true);
  view.setUint32(ATTRIBUTES.FLAGS, USE_CLOCK_ID, true);
  view.setUint32(ATTRIBUTES.CLOCK, CLOCK_MONOTONIC, true);
  const fd = c.syscall(PERF_EVENT_OPEN, address, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
  return checked('perf_event_open', fd);
}

if (parentPort !== null) {
  const { memory, cpus, over } = workerData as WatchSettings;
  const record = new Float64Array(memory);
  const watches = cpus.map((cpu) => new CpuWatch(cpu, record));
  const isOver = new Int32Array(over);
  parentPort.postMessage('begun');
  while (Atomics.wait(isOver, 0, 0, LOOK_MILLISECONDS) === 'timed-out') {
    for (const watch of watches) watch.look();
  }
  for (const watch of watches) watch.close();
}
