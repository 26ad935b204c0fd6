import { OperatorError } from '../errors.ts';
import { closePeerFds } from '../os/closer.ts';
import type { Poller } from '../os/poller.ts';
import { Connection, type ConnectionState, type Message } from './connection.ts';
import type { Device } from './device.ts';
import { FLAG_REPLY, requestName, wantsAnswer, writeMessage, writeU64 } from './message.ts';
import { checkQuota } from './quota.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { admit } from './requests.ts';
import { Session } from './session.ts';
import type { SavedSession, SessionListener } from './session-state.ts';

export interface DialogueState {
  connection: ConnectionState;
  session: SavedSession;
}

/**
 * The dialogue with one front-end: takes its requests one at a time, lets the session carry them
 * out, and replies.
 *
 *     connection ─message─► admit ─► handler ─► session ─► rings of the device
 */
export class Dialogue {
  readonly session: Session;
  readonly #listener: SessionListener;
  readonly #connection: Connection;

  constructor(fd: number, poller: Poller, device: Device, listener: SessionListener) {
    const session = new Session(poller, device, listener);
    this.session = session;
    this.#listener = listener;
    this.#connection = new Connection(fd, poller, {
      onMessage: (message) => session.inTurn(() => this.#receive(message)),
      onClose: (reason) => session.end(reason),
    });
  }

  save(): DialogueState {
    return { connection: this.#connection.save(), session: this.session.save() };
  }

  restore({ connection, session }: DialogueState): void {
    this.session.restore(session);
    this.#connection.restore(connection);
  }

  /** Another dialogue takes over the connection. Resolves when no request is in hand. */
  async handOver(): Promise<void> {
    this.#connection.handOver();
    await this.session.settled();
    this.session.handOver();
  }

  /** The connection has ended, and its resources are being freed. */
  get isClosing(): boolean {
    return this.#connection.isClosed;
  }

  /** Closes the connection and frees its resources. */
  async close(): Promise<void> {
    this.#connection.close(null);
    await this.session.settled();
  }

  /** Closes the connection because of something that its VMM did. */
  refuse(reason: string): void {
    this.#connection.close(reason);
  }

  async #receive(message: Message): Promise<void> {
    const { header } = message;
    const name = requestName(header.request);
    const isOfIommu = name === 'IOTLB_MSG';
    if (!isOfIommu) this.session.iommu.hold();
    try {
      if (name === undefined) throw new Refusal(`unknown request ${header.request}`);
      const request = admit(name, message, this.session.protocolFeatures);
      const { device, descriptorCount } = this.session;
      if (message.fds.length > 0) checkQuota(device, descriptorCount + message.fds.length);
      const reply = await request.handler(this.session, message);
      if (reply !== undefined) this.#reply(header.request, reply);
      else this.#acknowledge(message, 0n);
    } catch (caught) {
      const error = caught instanceof OperatorError ? refusalOf(caught) : caught;
      if (!(error instanceof Refusal)) throw error;
      this.#listener.onRefusal(`${name ?? 'request'}: ${error.message}`);
      // A front-end that expects no acknowledgement can be told in no other way.
      if (!this.#acknowledge(message, 1n)) this.#connection.close(error.message);
    } finally {
      if (!isOfIommu) this.session.iommu.release();
      closePeerFds(message.fds); // those that no handler took
    }
  }

  #reply(request: number, payload: Uint8Array): void {
    this.#connection.send(writeMessage(request, FLAG_REPLY, payload));
  }

  #acknowledge(message: Message, result: bigint): boolean {
    const isWanted = wantsAnswer(message.header, this.session.protocolFeatures);
    if (isWanted) this.#reply(message.header.request, writeU64(result));
    return isWanted;
  }
}
