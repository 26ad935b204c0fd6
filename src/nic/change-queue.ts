import { inBackground, later } from '../background.ts';
import { operatorError } from '../errors.ts';

/** Far longer than any change takes, even on a machine under load. */
const CHANGE_SECONDS_MAX = 30;

export interface ChangeQueueOptions {
  secondsMax?: number;
  /** A change exceeds its time, or ends after having exceeded it. */
  onOverdue(reason: string): void;
}

interface Running {
  readonly name: string;
  isOverdue: boolean;
}

/**
 * Carries out the changes of a NIC one at a time. No caller waits for ever: a change may wait for a
 * device or a processor that is stuck. It then continues in the background, and the changes behind
 * it are refused rather than carried out when no one expects them any more.
 */
export class ChangeQueue {
  readonly #milliseconds: number;
  readonly #onOverdue: (reason: string) => void;
  #last: Promise<unknown> = Promise.resolve();
  #running: Running | null = null;
  #closing: Promise<void> | null = null;

  constructor({ secondsMax = CHANGE_SECONDS_MAX, onOverdue }: ChangeQueueOptions) {
    this.#milliseconds = secondsMax * 1000;
    this.#onOverdue = onOverdue;
  }

  /** `name` as in "add VF vm1". Throws an OperatorError if the NIC is closed or time runs out. */
  run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#closing !== null) return Promise.reject(closed(name));
    return this.#enqueue(name, async () => {
      if (this.#closing !== null) throw closed(name);
      return work();
    });
  }

  /** Runs the last change. Others are refused from now on, including those that wait. */
  close(work: () => Promise<void>): Promise<void> {
    // This wait is bounded, too: a stuck change must not keep everything else from closing.
    this.#closing ??= this.#atMost(this.#last).then(work);
    return this.#closing;
  }

  #enqueue<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const mine: Running = { name, isOverdue: false };
    const result = this.#last.then(() => {
      if (mine.isOverdue) throw this.#overdue(name); // its caller has had this error already
      this.#running = mine;
      return work();
    });
    const ended = result.then(
      () => '',
      (error: Error) => `: ${error.message}`,
    );
    this.#last = ended.then((problem) => {
      if (this.#running !== mine) return;
      this.#running = null;
      if (mine.isOverdue) this.#onOverdue(`"${name}" has ended after all${problem}`);
    });
    return new Promise((resolve, reject) => {
      const timer = later('say that a change is overdue', this.#milliseconds, () => {
        mine.isOverdue = true;
        reject(this.#overdue(name));
        if (this.#running === mine) this.#onOverdue(`"${name}" takes longer than ${this.#limit}`);
      });
      inBackground(
        'end a change',
        result.then(resolve, reject).finally(() => clearTimeout(timer)),
      );
    });
  }

  async #atMost(work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#milliseconds);
    });
    await Promise.race([work, limit]);
    clearTimeout(timer);
  }

  get #limit(): string {
    return `${this.#milliseconds / 1000} s`;
  }

  #overdue(change: string): Error {
    const waitsFor = this.#running?.name ?? change;
    return operatorError('HEDDLE_CHANGE_OVERDUE', { change, limit: this.#limit, waitsFor });
  }
}

function closed(change: string): Error {
  return operatorError('HEDDLE_NIC_CLOSED', { change });
}

/** The name in a configuration that has not been checked yet. */
export function nameIn(input: unknown): string {
  const name = (input as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : '?';
}
