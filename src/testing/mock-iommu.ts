import { c } from '../os/libc.ts';
import { createSocketPair, receiveMessage, sendMessage } from '../os/unix-socket.ts';
import {
  BackendRequest,
  FLAG_NEED_REPLY,
  FLAG_REPLY,
  HEADER_SIZE,
  type IotlbMessage,
  IotlbType,
  readHeader,
  readIotlb,
  writeIotlb,
  writeMessage,
  writeU64,
} from '../vhost-user/message.ts';
import type { FrontEnd } from './front-end.ts';
import type { GuestMemory } from './guest-memory.ts';
import { acquirePoller, type PollerLease } from './shared-poller.ts';

const PAGE_SIZE = 4096n;
export const READ = 1;
export const WRITE = 2;
const READ_WRITE = 3;

/** A miss that the NIC reported. */
export interface Miss {
  iova: bigint;
  access: number;
}

/** The access that a page grants, or null if it is not mapped. */
export type Policy = (miss: Miss) => number | null;

/**
 * The IOMMU of a mock guest, played by its front-end: answers the NIC's misses with one page each,
 * invalidates translations, and can send arbitrary messages.
 *
 *   NIC ─miss─► policy ─► update (acknowledged) ─► answer to the miss
 */
export class MockIommu {
  policy: Policy = () => READ_WRITE;
  /** Misses so far, and accesses that the NIC reported as failed. */
  readonly misses: Miss[] = [];
  readonly accessFailures: Miss[] = [];
  readonly #frontEnd: FrontEnd;
  readonly #memory: GuestMemory;
  readonly #fd: number;
  readonly #lease: PollerLease = acquirePoller();
  #received: Uint8Array = new Uint8Array(0);
  #work: Promise<void> = Promise.resolve();
  #held: { message: IotlbMessage; wantsReply: boolean }[] | null = null;
  #waiters: { condition: () => boolean; resolve: () => void }[] = [];
  #isClosed = false;

  private constructor(frontEnd: FrontEnd, memory: GuestMemory, fd: number) {
    this.#frontEnd = frontEnd;
    this.#memory = memory;
    this.#fd = fd;
    this.#lease.poller.add(fd, () => this.#onReady());
  }

  /** Gives the NIC its channel for misses: after negotiation, before the rings start. */
  static async attach(frontEnd: FrontEnd, memory: GuestMemory): Promise<MockIommu> {
    const [ours, theirs] = createSocketPair();
    const iommu = new MockIommu(frontEnd, memory, ours);
    await frontEnd.send('SET_BACKEND_REQ_FD', new Uint8Array(0), [theirs]);
    c.close(theirs);
    return iommu;
  }

  /** Leaves misses unanswered from now on. */
  hold(): void {
    this.#held ??= [];
  }

  /** Answers the misses that were held, and all later ones. */
  async release(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { message, wantsReply } of held) this.#answerSoon(message, wantsReply);
    await this.#work;
  }

  /** Resolves once there have been `count` misses. */
  waitMisses(count: number): Promise<void> {
    return this.until(() => this.misses.length >= count);
  }

  /** Resolves when a condition holds; it is checked whenever a miss arrives or is answered. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ condition, resolve });
    });
  }

  /** Maps a range to where it really is. Rejects if the NIC refuses. */
  async update(iova: bigint, sizeBytes = PAGE_SIZE, access = READ_WRITE): Promise<void> {
    const userAddress = BigInt(this.#memory.userOfIova(Number(iova)));
    await this.say({ type: IotlbType.UPDATE, iova, sizeBytes, userAddress, access });
  }

  /** Invalidates a range; resolves when the NIC no longer uses any of it. */
  async invalidate(iova: bigint, sizeBytes = PAGE_SIZE): Promise<void> {
    await this.say({ type: IotlbType.INVALIDATE, iova, sizeBytes, userAddress: 0n, access: 0 });
  }

  /** Sends a message, valid or not. */
  async say(message: IotlbMessage): Promise<void> {
    await this.#frontEnd.send('IOTLB_MSG', writeIotlb(message));
  }

  /** Sends arbitrary bytes on the channel for answers. */
  babble(bytes: Uint8Array): void {
    sendMessage(this.#fd, bytes);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#lease.poller.remove(this.#fd);
    this.#lease.release();
    c.close(this.#fd);
  }

  #onReady(): void {
    const bytes = this.#receive();
    if (bytes === null) {
      this.close();
      return;
    }
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      if (this.#received.length < HEADER_SIZE) return;
      const { request, flags, size } = readHeader(this.#received);
      if (this.#received.length < HEADER_SIZE + size) return;
      const payload = this.#received.subarray(HEADER_SIZE, HEADER_SIZE + size);
      this.#received = this.#received.subarray(HEADER_SIZE + size);
      if (request !== BackendRequest.IOTLB_MSG) continue;
      this.#take(readIotlb(payload), (flags & FLAG_NEED_REPLY) !== 0);
    }
  }

  /** The bytes that arrived, or null at the end of the channel. */
  #receive(): Uint8Array | null {
    try {
      const { length, bytes } = receiveMessage(this.#fd, 4096);
      return length > 0 ? bytes : null;
    } catch {
      return null; // ECONNRESET
    }
  }

  #take(message: IotlbMessage, wantsReply: boolean): void {
    const { iova, access } = message;
    if (message.type === IotlbType.ACCESS_FAIL) {
      this.accessFailures.push({ iova, access });
      this.#look();
      return;
    }
    this.misses.push({ iova, access });
    if (this.#held !== null) this.#held.push({ message, wantsReply });
    else this.#answerSoon(message, wantsReply);
    this.#look();
  }

  #answerSoon(message: IotlbMessage, wantsReply: boolean): void {
    this.#work = this.#work.then(async () => {
      const granted = this.#memory.hasIova(Number(message.iova)) ? this.policy(message) : null;
      // The connection may end meanwhile: then nobody waits for the answer.
      if (granted !== null) await this.update(message.iova, PAGE_SIZE, granted).catch(() => {});
      if (wantsReply) this.#reply(granted === null ? 1n : 0n);
      this.#look();
    });
  }

  #look(): void {
    this.#waiters = this.#waiters.filter(({ condition, resolve }) => {
      const isSo = condition();
      if (isSo) resolve();
      return !isSo;
    });
  }

  #reply(result: bigint): void {
    if (this.#isClosed) return;
    sendMessage(this.#fd, writeMessage(BackendRequest.IOTLB_MSG, FLAG_REPLY, writeU64(result)));
  }
}
