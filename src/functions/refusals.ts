import { monotonicSeconds } from '../os/clock.ts';
import { RateLimit, withHeldBack } from '../rate-limit.ts';

/** This many are reported immediately, then one per period. */
const TOLD = { burst: 16, seconds: 5 };

/**
 * A front-end may repeat a refused request forever, as fast as it can. A few refusals are reported
 * individually, and the others are counted.
 */
export class Refusals {
  readonly #limit = new RateLimit({ ...TOLD, now: monotonicSeconds });

  /** The text to report for a refusal, or null to report nothing now. */
  words(reason: string): string | null {
    const heldBack = this.#limit.admit();
    return heldBack === null ? null : withHeldBack(reason, heldBack);
  }

  /** The text to report when the front-end has gone, or null. */
  rest(): string | null {
    const heldBack = this.#limit.takeHeldBack();
    return heldBack === 0
      ? null
      : `${heldBack} more refused requests were not reported individually`;
  }
}
