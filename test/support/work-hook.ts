import { getEnvironmentData, isMainThread } from 'node:worker_threads';
import { CHARGE_MAX_NS } from '../../layout/limits.ts';
import { TURN_WORKED } from '../../layout/processor.ts';
import { threadCpuMicroseconds } from '../../src/os/cpu-time.ts';
import type { Firmware } from '../../src/processor/firmware.ts';
import { WORK, WORK_KEY } from './work-record.ts';

// Loaded into a processor's thread before its own code (node --import). The firmware's clock is
// the thread's CPU time then, so that what it charges does not depend on other load on the machine;
// and the time in which there was nothing to do is recorded.
//
//   turn (idle) … turn (idle) … turn (worked) … turn
//   └──────── idle ────────┘ └ its interrupts, messages: somebody's, or missing from the accounts

interface Imports {
  env: { memory: WebAssembly.Memory };
  clock: Readonly<Record<string, () => number>>;
}

function nanoseconds(): number {
  return Math.round(threadCpuMicroseconds() * 1e3);
}

class WorkHook {
  /** The firmware's last look at its clock. */
  #seen = 0;
  readonly #record: Float64Array;
  /** When the last turn ended, and whether there was nothing to do. */
  #ended = 0;
  #wasIdle = true;
  /** Since when the host works for somebody; and such work since the last turn. */
  #hostSince = 0;
  #hostWork = 0;

  constructor(record: SharedArrayBuffer) {
    this.#record = new Float64Array(record);
  }

  /**
   * The firmware looks at its clock. Nobody is charged more than CHARGE_MAX_NS between two looks:
   * the host of this virtual machine has taken the rest.
   */
  look(): number {
    const now = nanoseconds();
    const taken = Math.max(0, now - this.#seen - CHARGE_MAX_NS);
    this.#record[WORK.IDLE] = (this.#record[WORK.IDLE] ?? 0) + taken;
    this.#seen = now;
    return now | 0;
  }

  wrap(firmware: Firmware): Firmware {
    return {
      ...firmware,
      setClock: () => {
        const now = nanoseconds();
        firmware.setClock(Math.floor(now / 1e9), now % 1e9);
      },
      beginHostWork: () => {
        firmware.beginHostWork();
        this.#hostSince = this.#seen;
      },
      chargeHostWork: (node) => {
        firmware.chargeHostWork(node);
        this.#hostWork += this.#seen - this.#hostSince;
        this.#hostSince = this.#seen;
      },
      turn: (whom) => {
        const began = nanoseconds();
        const flags = firmware.turn(whom);
        const ended = nanoseconds();
        const isIdle = (flags & TURN_WORKED) === 0;
        let idle = isIdle ? ended - began : 0;
        if (this.#wasIdle) idle += began - this.#ended - this.#hostWork;
        this.#record[WORK.IDLE] = (this.#record[WORK.IDLE] ?? 0) + idle;
        this.#record[WORK.CPU] = ended;
        this.#hostWork = 0;
        this.#ended = ended;
        this.#wasIdle = isIdle;
        return flags;
      },
    };
  }
}

const shared = isMainThread ? undefined : getEnvironmentData(WORK_KEY);
if (shared !== undefined) {
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct(target, [module, { env }]: [WebAssembly.Module, Imports]) {
      const hook = new WorkHook(shared as unknown as SharedArrayBuffer);
      const clock = { now: () => hook.look(), cpuTime: () => nanoseconds() | 0 };
      const firmware = new target(module, { env, clock }).exports as unknown as Firmware;
      return { exports: hook.wrap(firmware) };
    },
  });
}
