import { CONTROL_ERROR, CONTROL_OK } from '../../../layout/virtio.ts';
import { type ControlCommand, readControlCommand } from './control-command.ts';
import type { NetPort } from './net-port.ts';

/** le32 max_packets, le32 max_usecs. */
const COALESCING_SIZE = 8;

/**
 * The device's side of a VF's control queue (virtio 1.3, 5.1.6.5), if the front-end passes it
 * through:
 *
 *     bytes ─► command ─► settings of the rings ─► ack
 *
 * A command affects only the guest's own VF. A command that is malformed, was not negotiated or
 * exceeds what the VF has changes nothing. It is answered with an error and counted.
 */
export class GuestControl {
  readonly #port: NetPort;
  readonly #pairsOf: () => number;

  constructor(port: NetPort, pairsOf: () => number) {
    this.#port = port;
    this.#pairsOf = pairsOf;
  }

  /** Carries out a command. Resolves with the answer once the command has taken effect. */
  async handle(bytes: Uint8Array | null, room: number, features: bigint): Promise<Uint8Array> {
    // Without room for an ack, the guest could not be told the outcome.
    const command = bytes === null || room === 0 ? null : readControlCommand(bytes, features);
    if (command?.kind === 'get-queue-coalescing') return this.#getCoalescing(command.queue, room);
    if (command !== null && this.#set(command, features)) {
      await this.#port.applySettings();
      return Uint8Array.of(CONTROL_OK);
    }
    return this.#refuse();
  }

  #refuse(): Uint8Array {
    this.#port.countRefused();
    return Uint8Array.of(CONTROL_ERROR);
  }

  /**
   * The requested values are the last part of the command-specific data (5.1.6.5.9). So they
   * precede the ack, whereas a result would follow it.
   */
  #getCoalescing(queue: number, room: number): Uint8Array {
    if (room < COALESCING_SIZE + 1) return this.#refuse();
    const answer = new Uint8Array(COALESCING_SIZE + 1);
    if (!this.#isEnabled(queue)) {
      answer.set(this.#refuse(), COALESCING_SIZE);
      return answer;
    }
    const view = new DataView(answer.buffer);
    const { packets, microseconds } = this.#port.settings.coalescingOf(queue);
    view.setUint32(0, packets, true);
    view.setUint32(4, microseconds, true);
    view.setUint8(COALESCING_SIZE, CONTROL_OK);
    return answer;
  }

  /** Whether this is an enabled transmit or receive queue. */
  #isEnabled(queue: number): boolean {
    return (
      this.#port.rings.role(queue) !== 'control' && this.#port.rings.state(queue) === 'enabled'
    );
  }

  /** Returns false if the command asks for more than there is. */
  #set(command: ControlCommand, features: bigint): boolean {
    const { settings } = this.#port;
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
        if (command.pairs < 1 || command.pairs > this.#pairsOf()) return false;
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
      case 'coalescing':
        settings.setCoalescing(command.of, command.coalescing);
        return true;
      case 'queue-coalescing':
        if (!this.#isEnabled(command.queue)) return false;
        settings.setCoalescingOf(command.queue, command.coalescing);
        return true;
      case 'get-queue-coalescing':
        return false; // sets nothing
    }
  }

  #isWithin({ table, transmitQueues }: Extract<ControlCommand, { kind: 'steering' }>): boolean {
    if (transmitQueues < 1 || transmitQueues > this.#pairsOf()) return false;
    return [table.unclassified, ...table.pairs].every((pair) => pair < this.#pairsOf());
  }
}
