/** For each state, the states that may follow it. */
export type Transitions<State extends string> = Readonly<Record<State, readonly State[]>>;

/**
 * A state that changes only along a table of allowed transitions. Anything else is a bug of ours.
 */
export class LifeCycle<State extends string> {
  readonly #name: string;
  readonly #transitions: Transitions<State>;
  #state: State;

  constructor(name: string, transitions: Transitions<State>, initial: State) {
    this.#name = name;
    this.#transitions = transitions;
    this.#state = initial;
  }

  get state(): State {
    return this.#state;
  }

  is(...states: State[]): boolean {
    return states.includes(this.#state);
  }

  to(next: State): void {
    if (next === this.#state) return;
    if (!this.#transitions[this.#state].includes(next)) {
      throw new Error(`assertion: ${this.#name} cannot go from ${this.#state} to ${next}`);
    }
    this.#state = next;
  }
}
