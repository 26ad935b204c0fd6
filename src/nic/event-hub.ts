import { EventEmitter } from 'node:events';
import { type Failure, guarded, onFailure } from '../background.ts';
import type { EventOf } from '../events.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { RateLimit, withHeldBack } from '../rate-limit.ts';
import type { NicEventName, NicEvents, NicListener } from './types.ts';

/** Our own bugs may repeat rapidly, and the first few events are enough to report them. */
const FAILURE_LIMIT = { burst: 16, seconds: 10 };

/** Passes the events of a NIC to its listeners, including internal errors of this process. */
export class EventHub {
  readonly #nic: string;
  readonly #events = new EventEmitter();
  readonly #failureLimit = new RateLimit({ ...FAILURE_LIMIT, now: monotonicSeconds });
  readonly #stopListening: () => void;

  /** `nic`: its name. Must be closed, because it listens to all failures in this process. */
  constructor(nic: string) {
    this.#nic = nic;
    this.#stopListening = onFailure((failure) => this.#tellFailure(failure));
  }

  on<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.on(event, listener);
  }

  off<Name extends NicEventName>(event: Name, listener: NicListener<Name>): void {
    this.#events.off(event, listener);
  }

  emit(...[event, detail]: EventOf<NicEvents>): void {
    // One by one, because a listener is foreign code and may throw.
    for (const listener of this.#events.listeners(event)) {
      guarded(`tell a listener of "${event}"`, () => listener(detail));
    }
  }

  close(): void {
    this.#stopListening();
  }

  #tellFailure({ what, error }: Failure): void {
    const heldBack = this.#failureLimit.admit();
    if (heldBack === null) return;
    const reason = withHeldBack(`cannot ${what}: ${error.message}`, heldBack);
    this.emit('internal-error', { nic: this.#nic, reason });
  }
}
