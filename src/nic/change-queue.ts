import { inBackground } from '../background.ts';
import { operatorError } from '../errors.ts';

/** Far more than any change takes on a machine under load. */
const CHANGE_SECONDS_MAX = 30;

export interface ChangeQueueOptions {
  secondsMax?: number;
  /** A change takes longer than it may, or has ended after it did. */
  onOverdue(reason: string): void;
}

interface Running {
  readonly name: string;
  isOverdue: boolean;
}

/**
 * Changes of a NIC come one after another, whoever asks for them. None keeps its caller waiting for
 * ever: what a change waits for may be stuck, a device or a processor. It then goes on alone, and
 * those behind it are refused rather than carried out at a time that nobody expects.
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

  /** `name` says what is changed, as in "add VF vm1". Throws an OperatorError if it cannot be. */
  run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#closing !== null) return Promise.reject(closed(name));
    return this.#enqueue(name, async () => {
      if (this.#closing !== null) throw closed(name);
      return work();
    });
  }

  /** The last change: after it, and already while it waits, there are no others. */
  close(work: () => Promise<void>): Promise<void> {
    // It does not wait for ever either: what is stuck does not keep the rest from ending.
    this.#closing ??= this.#atMost(this.#last).then(work);
    return this.#closing;
  }

  #enqueue<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const mine: Running = { name, isOverdue: false };
    const result = this.#last.then(() => {
      if (mine.isOverdue) throw this.#overdue(name); // its caller has been told so
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
      const timer = setTimeout(() => {
        mine.isOverdue = true;
        reject(this.#overdue(name));
        if (this.#running === mine) this.#onOverdue(`"${name}" takes longer than ${this.#limit}`);
      }, this.#milliseconds);
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

/** The name that somebody gave to what is to be added; it has not been checked. */
export function nameIn(input: unknown): string {
  const name = (input as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : '?';
}
