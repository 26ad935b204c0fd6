import { getEnvironmentData, isMainThread, workerData } from 'node:worker_threads';
import { CHARGE_MAX_NS } from '../../layout/limits.ts';
import { TURN_WORKED } from '../../layout/processor.ts';
import type { Firmware } from '../../src/processor/firmware.ts';
import { OwnTime } from './own-time.ts';
import { type HostWork, WORK, WORK_KEY } from './work-record.ts';

// Loaded into a processor's thread before its own code (node --import). Records the time in which
// there was something to do, by a clock that the firmware is given as well (own-time.ts). Nothing
// here asks what is charged.
//
//   turn (worked) … turn (nothing) … turn (nothing) … turn (nothing) … turn (worked)
//   └──────────── busy ──────────┘ └─ of this, what the host did ─┘  └── busy …

/** Turns that found nothing between two measurements of what a look costs. */
const LEARN_TURNS = 200;
/**
 * How often a turn looks at its clock that finds nothing. One that finds a frame which has to wait
 * says the same, but looks again when it knows.
 */
const IDLE_LOOKS = 1;

type Method = (...args: unknown[]) => unknown;
interface Imports {
  env: { memory: WebAssembly.Memory };
  clock: Readonly<Record<string, () => number>>;
}

class WorkHook {
  readonly #record: Float64Array;
  readonly #time = new OwnTime();
  /** Changes with what else the machine does: learned anew every now and then. */
  #lookCost: number;
  #idleTurns = 0;
  /** Those of this turn. */
  #looks = 0;
  /** The firmware's last look at its clock. */
  #seen = 0;
  /** The last turn found nothing. */
  #isIdle = true;
  /** What was before is recorded, or was idle. */
  #until = 0;
  /** The host does something that may turn out to be work, or has done some. */
  #isHosting = false;
  #hasWorked = false;

  constructor(record: SharedArrayBuffer) {
    this.#record = new Float64Array(record);
    this.#lookCost = this.#costOfLook();
  }

  /**
   * A look at the clock takes time as well. Between one here and the next one of the firmware, or
   * the other way round, so much is nobody's.
   */
  #costOfLook(): number {
    const rounds = Array.from({ length: 11 }, () => {
      const began = this.#time.now();
      for (let i = 0; i < 20; i++) this.look();
      return (this.#time.now() - began) / 21;
    });
    return rounds.toSorted((a, b) => a - b)[(rounds.length - 1) / 2] ?? 0;
  }

  #add(what: number, time: number): void {
    this.#record[what] = (this.#record[what] ?? 0) + time;
  }

  /**
   * The firmware looks at its clock. Nobody is charged more than CHARGE_MAX_NS between two looks:
   * the host of this virtual machine has taken the rest.
   */
  look(): number {
    this.#looks += 1;
    const now = this.#time.now();
    const taken = now - this.#seen - CHARGE_MAX_NS;
    if (taken > 0 && (!this.#isIdle || this.#isHosting)) this.#add(WORK.BUSY, -taken);
    this.#seen = now;
    return now | 0;
  }

  /** What was lost is missing from the clock already. */
  cpuTime(): number {
    return this.#seen | 0;
  }

  wrap(firmware: Firmware): Firmware {
    return {
      ...firmware,
      setClock: () => {
        const now = this.#time.wake();
        this.#seen = now;
        firmware.setClock(Math.floor(now / 1e9), now % 1e9);
      },
      turn: (whom) => {
        if (this.#isIdle) this.#learnNowAndThen();
        const began = this.#time.now() + this.#lookCost;
        this.#looks = 0;
        const flags = firmware.turn(whom);
        const ended = this.#time.now() - this.#lookCost;
        this.#endTurn(began, ended, (flags & TURN_WORKED) !== 0 || this.#looks > IDLE_LOOKS);
        return flags;
      },
      lookAhead: (ring) => this.#noting(firmware.lookAhead(ring)),
      takeRequest: (ring) => this.#noting(firmware.takeRequest(ring)),
      finishRequest: (ring, answered) => this.#noting(firmware.finishRequest(ring, answered)),
    };
  }

  #learnNowAndThen(): void {
    this.#idleTurns += 1;
    if (this.#idleTurns % LEARN_TURNS === 0) this.#lookCost = this.#costOfLook();
  }

  #noting<T>(result: T): T {
    this.#hasWorked = true;
    return result;
  }

  /** The first turn that finds nothing ends the work before: it is part of it. */
  #endTurn(began: number, ended: number, hasWorked: boolean): void {
    if (this.#isIdle) this.#until = began;
    if (hasWorked || !this.#isIdle) this.#add(WORK.BUSY, ended - this.#until);
    this.#until = ended;
    this.#isIdle = !hasWorked;
  }

  /** Wraps what the host does between two turns. `isWork`: whether it did anything. */
  watch(method: Method, what: HostWork, isWork = (_result: unknown) => this.#hasWorked): Method {
    const hook = this;
    return function (this: unknown, ...args) {
      hook.#hasWorked = false;
      hook.#isHosting = true;
      const began = hook.#time.now();
      const result = method.apply(this, args);
      hook.#isHosting = false;
      if (isWork(result)) hook.#host(what, hook.#time.now() - began - 2 * hook.#lookCost);
      return result;
    };
  }

  #host(what: HostWork, time: number): void {
    this.#add(what, time);
    if (this.#isIdle) this.#add(WORK.BUSY, time); // else all of it is
  }

  /** A message is handled. */
  noteMessage(): void {
    this.#hasWorked = true;
  }
}

function replace(prototype: object, name: string, by: (real: Method) => Method): void {
  const methods = prototype as Record<string, Method>;
  const real = methods[name];
  if (real === undefined) throw new Error(`assertion: no method ${name}`);
  methods[name] = by(real);
}

function before(act: () => void): (real: Method) => Method {
  return (real) =>
    function (this: unknown, ...args) {
      act();
      return real.apply(this, args);
    };
}

/** The modules that the processor loads: build/src is a link to dist/src. */
async function watchHost(hook: WorkHook): Promise<void> {
  const { Inbox } = await import('../../src/processor/inbox.ts');
  replace(Inbox.prototype, 'take', (real) => hook.watch(real, WORK.MESSAGES));
  replace(Inbox.prototype, 'sweep', (real) => hook.watch(real, WORK.MESSAGES, () => true));
  const { MessageHandler } = await import('../../src/processor/message-handler.ts');
  replace(
    MessageHandler.prototype,
    'handle',
    before(() => hook.noteMessage()),
  );
  const { RequestQueues } = await import('../../src/processor/request-queues.ts');
  replace(RequestQueues.prototype, 'serve', (real) => hook.watch(real, WORK.REQUESTS));
  const { Translations } = await import('../../src/processor/translations.ts');
  replace(Translations.prototype, 'lookAhead', (real) => hook.watch(real, WORK.LOOK_AHEAD));
  const { UplinkPorts } = await import('../../src/processor/uplink-ports.ts');
  replace(UplinkPorts.prototype, 'pull', (real) =>
    hook.watch(real, WORK.PULLS, (frames) => frames !== 0),
  );
  replace(UplinkPorts.prototype, 'push', (real) =>
    hook.watch(real, WORK.CALLS, (frames) => frames !== 0),
  );
  const { Calls } = await import('../../src/processor/calls.ts');
  replace(Calls.prototype, 'raiseListed', (real) => hook.watch(real, WORK.CALLS, () => true));
}

const shared = isMainThread ? undefined : getEnvironmentData(WORK_KEY);
const isProcessor = typeof workerData === 'object' && 'firmware' in (workerData ?? {});
if (shared !== undefined && isProcessor) {
  const hook = new WorkHook(shared as unknown as SharedArrayBuffer);
  await watchHost(hook);
  WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
    construct(target, [module, { env }]: [WebAssembly.Module, Imports]) {
      const clock = { now: () => hook.look(), cpuTime: () => hook.cpuTime() };
      const firmware = new target(module, { env, clock }).exports as unknown as Firmware;
      return { exports: hook.wrap(firmware) };
    },
  });
}
