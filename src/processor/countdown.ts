/**
 * Is over once in every `calls` calls. Each kind of work has its own countdown, counted where it is
 * checked. A shared counter, such as the number of turns, may advance by two between two checks,
 * and `turns % 16` then never hits 0.
 */
export class Countdown {
  readonly #calls: number;
  #left: number;

  constructor(calls: number) {
    this.#calls = calls;
    this.#left = calls;
  }

  isOver(): boolean {
    this.#left -= 1;
    if (this.#left > 0) return false;
    this.#left = this.#calls;
    return true;
  }
}
