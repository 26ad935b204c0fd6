import type { OperatorError } from '../errors.ts';

/**
 * The front-end asked for something that it may not, or in a way that it may not. Told to it as a
 * failed acknowledgement, or by closing; told to the operator as the VF's last fault. Not an error
 * of ours.
 */
export class Refusal extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'Refusal';
  }
}

/** A refusal for a reason that the operator can mend, with the way out. */
export function refusalOf({ message, hint }: OperatorError): Refusal {
  return new Refusal(`${message}. ${hint}`);
}
