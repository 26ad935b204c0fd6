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
