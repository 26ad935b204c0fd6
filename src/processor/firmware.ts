import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { IotlbTable } from '../memory/iotlb.ts';
import type { WindowFirmware } from '../memory/windows.ts';
import { monotonicNanosecondsLow } from '../os/clock.ts';
import { threadCpuNanosecondsLow } from '../os/cpu-time.ts';
import type { LinearMemory } from '../os/linear-memory.ts';

/** The exports of firmware/main.ts. */
export interface Firmware extends WindowFirmware, IotlbTable {
  layoutHash: { value: number };
  configure(processor: number, processorCount: number, macAgeSeconds: number): void;
  /** `kind`: RING_KIND_…. */
  attachRing(
    ring: number,
    descriptors: number,
    avail: number,
    used: number,
    state: number,
    kind: number,
  ): void;
  detachRing(ring: number): void;
  setRingState(ring: number, state: number): void;
  /** `whom`: INTERRUPT_…, the guests to interrupt at the end of the turn. */
  turn(whom: number): number;
  interruptRest(): number;
  /** How many bytes the driver of a receive ring, in this processor, accepts on loan. */
  setLending(ring: number, bytes: number): void;
  /** Puts these rings back on the work list if they are parked: there may be news for them. */
  unparkRings(first: number, count: number): void;
  openLookAhead(): void;
  /** Returns 0 once the look may walk no further. */
  lookAhead(ring: number): number;
  takeRequest(ring: number): number;
  finishRequest(ring: number, answered: number): number;
  isMidBatch(): number;
  /** Whether a batch that waits for a window of this function keeps others from sending. */
  othersWait(owner: number): number;
  arm(): number;
  disarm(): void;
  setPort(port: number, isUp: number): void;
  setStatic(mac: bigint, port: number): number;
  forgetPort(port: number, firstSet: number, sets: number): void;
  configureAgeing(seconds: number): void;
  /** The monotonic clock in full: at the start, and after each sleep. */
  setClock(seconds: number, nanoseconds: number): void;
  /** What follows is work for a function, which `chargeHostWork` charges to it. */
  beginHostWork(): void;
  /** `node`: the function; NODE_ROOT: none in particular. What follows is such work, too. */
  chargeHostWork(node: number): void;
  /** The same for whoever was served last. */
  chargeServed(): void;
  /** The function that a ring belongs to. */
  functionOf(ring: number): number;
  /** What a node of the schedule is promised has changed. */
  changeNode(node: number): void;
  /** µs until somebody may go on whom a maximum or a receiver holds; −1: nobody is held. */
  wakeMicroseconds(): number;
  /** The same if only such have worked since the last sleep, else −1. */
  heldMicroseconds(): number;
}

/**
 * Reads the built module: from the dist/ we run in, or from the checkout's dist/ when run from
 * sources.
 */
export function readFirmware(): Uint8Array {
  const isSource = import.meta.url.endsWith('.ts');
  const path = isSource ? '../../dist/firmware/heddle.wasm' : '../../firmware/heddle.wasm';
  return readFileSync(new URL(path, import.meta.url));
}

/** Instantiates the firmware over a memory. All that it imports besides are two clocks. */
export function loadFirmware(
  bytes: Uint8Array,
  memory: LinearMemory,
  clock = { now: monotonicNanosecondsLow, cpuTime: threadCpuNanosecondsLow },
): Firmware {
  const instance = new WebAssembly.Instance(compile(bytes), {
    env: { memory: memory.memory },
    clock,
  });
  return instance.exports as unknown as Firmware;
}

/**
 * Compiles all functions now. By default, V8 compiles each at its first call, which would take up
 * to a millisecond of somebody's turn. The flag is one of the whole program, so it is set back.
 */
function compile(bytes: Uint8Array): WebAssembly.Module {
  setFlagsFromString('--no-wasm-lazy-compilation');
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    setFlagsFromString('--wasm-lazy-compilation');
  }
}
