import { FUNCTION_COUNT_MAX } from '../../layout/limits.ts';
import { SLOT_COUNT_MAX } from '../../layout/memory.ts';

const NOBODY = -1;

/**
 * The number of windows of each function, and the function with the most. Each miss asks for the
 * latter, so it must not need a search: functions with equal counts form a list, and the highest
 * count changes by one at a time.
 *
 *     count   1: f7 ⇄ f2      2: –      3: f0      (highest: 3)
 */
export class WindowCounts {
  readonly #counts = new Uint16Array(FUNCTION_COUNT_MAX);
  /** By count: the first function of the list. */
  readonly #first = new Int16Array(SLOT_COUNT_MAX + 2).fill(NOBODY);
  readonly #next = new Int16Array(FUNCTION_COUNT_MAX).fill(NOBODY);
  readonly #previous = new Int16Array(FUNCTION_COUNT_MAX).fill(NOBODY);
  #highest = 0;
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** The function with the most windows. Of several, the one that reached this count last. */
  get fullest(): number {
    return Math.max(this.#first[this.#highest] ?? NOBODY, 0);
  }

  change(owner: number, change: 1 | -1): void {
    const before = this.#counts[owner] ?? 0;
    const after = before + change;
    if (before > 0) this.#unlink(owner, before);
    if (after > 0) this.#link(owner, after);
    this.#counts[owner] = after;
    this.#total += change;
    if (after > this.#highest || this.#first[this.#highest] === NOBODY) this.#highest = after;
  }

  #link(owner: number, count: number): void {
    const second = this.#first[count] ?? NOBODY;
    this.#first[count] = owner;
    this.#previous[owner] = NOBODY;
    this.#next[owner] = second;
    if (second !== NOBODY) this.#previous[second] = owner;
  }

  #unlink(owner: number, count: number): void {
    const previous = this.#previous[owner] ?? NOBODY;
    const next = this.#next[owner] ?? NOBODY;
    if (previous === NOBODY) this.#first[count] = next;
    else this.#next[previous] = next;
    if (next !== NOBODY) this.#previous[next] = previous;
  }
}
