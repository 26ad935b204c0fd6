import { CONTROL_ERROR, CONTROL_OK } from '../../layout/virtio.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';
import { type ControlCommand, readControlCommand } from './control-command.ts';

/**
 * The device's side of a VF's control queue (virtio 1.3, 5.1.6.5), where the front-end forwards it:
 *
 *     bytes ─► command ─► settings of the rings ─► ack
 *
 * Whatever a guest says here concerns its own VF alone. What is malformed, was not negotiated or
 * exceeds what the VF has changes nothing, is answered with an error and counted.
 */
export class GuestControl {
  readonly #rings: RingSet;
  readonly #queuePairs: number;

  constructor(rings: RingSet, queuePairs: number) {
    this.#rings = rings;
    this.#queuePairs = queuePairs;
  }

  /** Carries a command out; resolves with its ack when it has taken effect. */
  async handle(bytes: Uint8Array, features: bigint): Promise<Uint8Array> {
    const command = readControlCommand(bytes, features);
    if (command !== null && this.#set(command, features)) {
      await this.#rings.applySettings();
      return Uint8Array.of(CONTROL_OK);
    }
    this.#rings.countRefused();
    return Uint8Array.of(CONTROL_ERROR);
  }

  /** False if it asks for more than there is. */
  #set(command: ControlCommand, features: bigint): boolean {
    const { settings } = this.#rings;
    switch (command.kind) {
      case 'receive-mode':
        if (command.mode === 'promiscuous') settings.isPromiscuous = command.isOn;
        else settings.isAllMulticast = command.isOn;
        return true;
      case 'mac-table':
        settings.filteredAddresses = command.addresses;
        return true;
      case 'mac-address':
        settings.mac = command.mac;
        return true;
      case 'announce-ack':
        return true;
      case 'queue-pairs':
        if (command.pairs < 1 || command.pairs > this.#queuePairs) return false;
        settings.queuePairs = command.pairs;
        settings.table = null;
        return true;
      case 'hashing':
        settings.hashing = command.hashing;
        return true;
      case 'steering':
        if (!this.#isWithin(command)) return false;
        settings.hashing = command.hashing;
        settings.table = command.table;
        return true;
      case 'guest-offloads':
        if (!settings.areGuestOffloads(command.offloads, features)) return false;
        settings.guestOffloads = command.offloads;
        return true;
    }
  }

  #isWithin({ table, transmitQueues }: Extract<ControlCommand, { kind: 'steering' }>): boolean {
    if (transmitQueues < 1 || transmitQueues > this.#queuePairs) return false;
    return [table.unclassified, ...table.pairs].every((pair) => pair < this.#queuePairs);
  }
}
