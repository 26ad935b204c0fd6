import type { OperatorError } from '../errors.ts';

/**
 * A request of the front-end was invalid or not allowed. The front-end gets a failed
 * acknowledgement, or its connection is closed; the operator sees the reason as the VF's last
 * fault. Not an error of ours.
 */
export class Refusal extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Refusal';
  }
}

/** A refusal that the operator can do something about: the hint says what. */
export function refusalOf({ message, hint }: OperatorError): Refusal {
  return new Refusal(`${message}. ${hint}`);
}
