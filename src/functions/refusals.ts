import { monotonicSeconds } from '../os/clock.ts';
import { RateLimit, withHeldBack } from '../rate-limit.ts';

/** So many at once are told, then one in so many seconds. */
const TOLD = { burst: 16, seconds: 5 };

/**
 * A front-end may ask for what it is refused as fast as it can, for ever. A few of that are told,
 * and of the others how many.
 */
export class Refusals {
  readonly #limit = new RateLimit({ ...TOLD, now: monotonicSeconds });

  /** What is to be told of one; null: nothing now. */
  words(reason: string): string | null {
    const heldBack = this.#limit.admit();
    return heldBack === null ? null : withHeldBack(reason, heldBack);
  }

  /** What is to be told when its front-end has gone. */
  rest(): string | null {
    const heldBack = this.#limit.takeHeldBack();
    return heldBack === 0
      ? null
      : `${heldBack} more refused requests were not reported individually`;
  }
}
