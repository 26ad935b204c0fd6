import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import { RING_VIEWS_BASE, SHARED_BASE, SHARED_RINGS } from '../../layout/memory.ts';
import {
  AVAIL_INDEX,
  RING_KIND_TRANSMIT,
  RING_LAST_AVAIL,
  RING_RECORD_SIZE,
  RING_VIEW_AVAIL,
  RING_VIEW_SIZE,
} from '../../layout/virtqueue.ts';
import { elapsedMicroseconds, monotonicMicroseconds } from '../../src/os/clock.ts';
import { threadCpuMicroseconds } from '../../src/os/cpu-time.ts';
import type { Firmware } from '../../src/processor/firmware.ts';
import {
  SILENCE,
  SILENCE_KEY,
  SILENCES_KEPT,
  type SilenceData,
  silenceOf,
} from './silence-record.ts';
import { milliseconds } from './standstill-record.ts';
import { stoodStill } from './standstills.ts';

// Loaded into each processor's thread before its own code (node --import). It reads the rings of
// bystanders before and after each turn, and records how much CPU time of this thread passed
// between two services of a ring that was ready.
//
//   turn ┤ … commands, control queues, windows … ├ turn ┤ … ├ turn ┤
//        └─ not ready here          served here ────────────────┘      all of this counts
//
// The moment at which the guest made a ring ready is unknown, so the time counts from the last
// reading that found it not ready. The recorded time is therefore never too short, and it does not
// depend on other load on the machine. Time in which the machine itself stood still is subtracted
// (standstills.ts). Times are whole microseconds, which V8 does not allocate: a gauge that makes
// garbage at each look brings on the collections that it then measures.

/** Standstills are not subtracted from shorter silences, which are harmless anyway. */
const NOTABLE_MICROSECONDS = 500;

/** Longer silences are recorded before they end. */
const HOPELESS_MICROSECONDS = 50_000;

interface Watched {
  readonly ring: number;
  /** Its index among all watched rings. */
  readonly index: number;
  place: number;
  cpu: number;
  wall: number;
}

/** Below 2^31, which is half an hour. */
function cpuMicroseconds(): number {
  return threadCpuMicroseconds() | 0;
}

class SilenceHook {
  readonly #record: Float64Array;
  readonly #standstills: Float64Array;
  readonly #view: DataView;
  readonly #watched: Watched[] = [];
  #processor = 0;
  #epoch = 0;

  constructor({ record, standstills }: SilenceData, memory: WebAssembly.Memory) {
    this.#record = new Float64Array(record);
    this.#standstills = new Float64Array(standstills);
    this.#view = new DataView(memory.buffer);
  }

  /** The firmware's exports, with a reading of the rings around each turn. */
  wrap(firmware: Firmware): Firmware {
    return {
      ...firmware,
      configure: (processor, count, seconds) => {
        this.#processor = processor;
        firmware.configure(processor, count, seconds);
      },
      attachRing: (ring, descriptors, avail, used, state, kind) => {
        firmware.attachRing(ring, descriptors, avail, used, state, kind);
        const index = this.#indexOf(ring);
        if (kind === RING_KIND_TRANSMIT && index >= 0) this.#watch(ring, index);
      },
      detachRing: (ring) => {
        const index = this.#watched.findIndex((one) => one.ring === ring);
        if (index >= 0) this.#watched.splice(index, 1);
        firmware.detachRing(ring);
      },
      turn: (whom) => {
        this.#look();
        const flags = firmware.turn(whom);
        this.#look();
        return flags;
      },
    };
  }

  #indexOf(ring: number): number {
    const count = this.#record[SILENCE.RING_COUNT] ?? 0;
    return this.#record.subarray(SILENCE.RINGS, SILENCE.RINGS + count).indexOf(ring);
  }

  #watch(ring: number, index: number): void {
    const place = this.#placeOf(ring);
    const wall = monotonicMicroseconds();
    this.#watched.push({ ring, index, place, cpu: cpuMicroseconds(), wall });
  }

  #placeOf(ring: number): number {
    const record = SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE;
    return this.#view.getUint32(record + RING_LAST_AVAIL, true) & 0xffff;
  }

  #isReady(ring: number, place: number): boolean {
    const view = RING_VIEWS_BASE + ring * RING_VIEW_SIZE;
    const avail = this.#view.getUint32(view + RING_VIEW_AVAIL, true);
    return this.#view.getUint16(avail + AVAIL_INDEX, true) !== place;
  }

  #look(): void {
    const cpu = cpuMicroseconds();
    const wall = monotonicMicroseconds();
    const epoch = this.#record[SILENCE.EPOCH] ?? 0;
    const isNew = epoch !== this.#epoch;
    this.#record[SILENCE.NOW + this.#processor] = cpu;
    this.#epoch = epoch;
    let longestCpu = 0;
    let longestWall = 0;
    for (const watched of this.#watched) {
      const place = this.#placeOf(watched.ring);
      const isReady = this.#isReady(watched.ring, place);
      const wasServed = place !== watched.place;
      if (wasServed) this.#record[SILENCE.SERVED + watched.index] = cpu;
      // A silence is recorded when it ends, or when it is already too long.
      const isDue = wasServed || (isReady && cpu - watched.cpu > HOPELESS_MICROSECONDS);
      if (isDue && !isNew && cpu - watched.cpu > longestCpu) {
        longestCpu = cpu - watched.cpu;
        longestWall = elapsedMicroseconds(watched.wall, wall);
      }
      if (isReady && !wasServed && !isNew) continue;
      watched.place = place;
      watched.cpu = cpu;
      watched.wall = wall;
    }
    // One record for all rings, because they wait for the same thing.
    if (longestCpu <= 0) return;
    if (longestCpu > NOTABLE_MICROSECONDS) {
      const end = milliseconds();
      const stood = stoodStill(this.#standstills, end - longestWall / 1000, end);
      longestCpu = Math.max(1, longestCpu - 1000 * stood);
      this.#beginAgain(cpu);
    }
    this.#note(longestCpu, longestWall / 1000);
  }

  /** Excludes the time that the gauge itself has used. */
  #beginAgain(since: number): void {
    const cpu = cpuMicroseconds();
    const wall = monotonicMicroseconds();
    for (const watched of this.#watched) {
      if (watched.cpu === since) Object.assign(watched, { cpu, wall });
    }
  }

  /** Inserts a silence among the longest. */
  #note(cpuMicroseconds: number, wallMilliseconds: number): void {
    for (let rank = SILENCES_KEPT - 1; rank >= 0; rank--) {
      const at = silenceOf(this.#processor, rank);
      if (cpuMicroseconds <= (this.#record[at] ?? 0)) return;
      if (rank < SILENCES_KEPT - 1) this.#record.copyWithin(at + 2, at, at + 2);
      this.#record[at] = cpuMicroseconds;
      this.#record[at + 1] = wallMilliseconds;
    }
  }
}

const shared = isMainThread ? undefined : getEnvironmentData(SILENCE_KEY);
if (shared !== undefined) {
  const data = shared as unknown as SilenceData;
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct(
      target,
      [module, imports]: [WebAssembly.Module, { env: { memory: WebAssembly.Memory } }],
    ) {
      const firmware = new target(module, imports).exports as unknown as Firmware;
      return { exports: new SilenceHook(data, imports.env.memory).wrap(firmware) };
    },
  });
}
