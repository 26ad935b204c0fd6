/**
 * Says, once in so many calls, that it is time. Each kind of work has a countdown of its own,
 * counted where it is asked for. A counter that several share, such as the number of turns, may
 * move by two between two questions, and `turns % 16` is then never 0.
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
