import { isHarmlessWait, type ThreadState } from './thread-state.ts';

/** Seconds without a turn, blocked in one system call. */
const BLOCKED_SECONDS = 2;

/** One look at a thread. */
export interface Look {
  readonly beats: number;
  /** It sleeps deliberately, or was not asked anything. */
  readonly isResting: boolean;
  /**
   * Seconds since the last look; 0 if this look came late, since then other things may be late too.
   */
  readonly seconds: number;
  /** Called only if the beat has not changed. */
  state(): ThreadState | null;
}

export interface Finding {
  readonly how: 'blocked' | 'busy';
  readonly state: ThreadState;
}

/** Decides from successive looks whether a thread hangs. */
export class Vigil {
  /** CPU seconds that a turn may take. */
  readonly #busySeconds: number;
  #beats: number | null = null;
  #last: ThreadState | null = null;
  #blockedSeconds = 0;
  #usedSeconds = 0;

  constructor(busySeconds: number) {
    this.#busySeconds = busySeconds;
  }

  look({ beats, isResting, seconds, state }: Look): Finding | null {
    if (isResting || beats !== this.#beats) {
      this.#beats = beats;
      this.#forget();
      return null;
    }
    const now = state();
    const last = this.#last;
    this.#last = now;
    if (now === null || last === null || seconds === 0) return null;
    this.#usedSeconds += now.cpuSeconds - last.cpuSeconds;
    if (this.#usedSeconds >= this.#busySeconds) return { how: 'busy', state: now };
    const hasStoodStill = isStuck(now) && isStuck(last) && now.switches === last.switches;
    this.#blockedSeconds = hasStoodStill ? this.#blockedSeconds + seconds : 0;
    return this.#blockedSeconds >= BLOCKED_SECONDS ? { how: 'blocked', state: now } : null;
  }

  #forget(): void {
    this.#last = null;
    this.#blockedSeconds = 0;
    this.#usedSeconds = 0;
  }
}

/** A thread that is ready to run but does not run is starved by others: that is not hanging. */
function isStuck(state: ThreadState): boolean {
  return state.isBlocked && !isHarmlessWait(state);
}
