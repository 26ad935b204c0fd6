import { IOTLB_READ, IOTLB_WRITE, UNTRANSLATED_FORBIDDEN } from '../../layout/memory.ts';
import { inBackground, later } from '../background.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import {
  IOMMU_PAGE_SIZE,
  Iotlb,
  type IotlbChange,
  isPageRange,
  pageStart,
  type Translation,
} from '../memory/iotlb.ts';
import type { BackendChannel, BackendChannelState, OnReply } from './backend-channel.ts';
import { BackendRequest, type IotlbMessage, IotlbType, writeIotlb } from './message.ts';
import { Refusal } from './refusal.ts';

/** Misses that may be without a reply. Further ones wait until replies arrive. */
export const OUTSTANDING_MAX = 256;

/**
 * How long the connection must be quiet after a request before the first miss is sent, in
 * milliseconds. QEMU 6.0 to 7.2 read this channel while they wait for a reply on the other one, and
 * mistake our message for that reply ("Received unexpected msg type").
 */
const QUIET_MS = 20;
/** How many requests in a row may restart that wait, so that a busy front-end is asked, too. */
const QUIET_ATTEMPTS_MAX = 10;

const ALL_BYTES = 1n << 64n;
const ONLY_VF = 0;

export interface IommuState {
  translations: Translation[];
  /** Misses: the address of a page, with the access in its low bits. */
  unasked: bigint[];
  outstanding: bigint[];
  wantsReplies: boolean;
}

export interface IommuListener {
  /** Tells the processors. Resolves when none of them uses the previous translation any more. */
  publish(change: IotlbChange): Promise<void>;
  /** The front-end has replied to a miss that there is no translation. */
  onDenied(iova: bigint): void;
}

/**
 * The guest's IOMMU as its front-end reports it: requests translations, and keeps those that have
 * arrived.
 *
 *     processor lacks one ─► miss ─► front-end        update, invalidate ─► processors ─► acknowledged
 */
export class Iommu {
  readonly #memory: GuestMemory;
  readonly #listener: IommuListener;
  readonly #iotlb = new Iotlb();
  // Misses: the address of a page, with the access in its low bits.
  readonly #unasked = new Set<bigint>();
  readonly #outstanding = new Set<bigint>();
  #channel: BackendChannel | null = null;
  #wantsReplies = false;
  #holds = 0;
  #attemptsLeft = QUIET_ATTEMPTS_MAX;
  #timer: NodeJS.Timeout | null = null;

  constructor(memory: GuestMemory, listener: IommuListener) {
    this.#memory = memory;
    this.#listener = listener;
  }

  /** Sends misses on this channel from now on. `wantsReplies`: it reports failures (REPLY_ACK). */
  connect(channel: BackendChannel, wantsReplies: boolean): void {
    this.#channel = channel;
    this.#wantsReplies = wantsReplies;
    this.#ask();
  }

  /** The guest address behind an I/O virtual address, if it is known and `access` is allowed. */
  lookUp(iova: bigint, access: number): number | null {
    const found = this.#iotlb.lookUp(ONLY_VF, iova);
    return found !== null && (found.access & access) === access ? found.guestAddress : null;
  }

  save(): IommuState {
    return {
      translations: this.translations(),
      unasked: [...this.#unasked],
      outstanding: [...this.#outstanding],
      wantsReplies: this.#wantsReplies,
    };
  }

  /** `channel`: the restored channel, and its state with the replies that are still to come. */
  restore(
    state: IommuState,
    channel: { channel: BackendChannel; state: BackendChannelState } | null,
  ): void {
    this.#iotlb.restore(ONLY_VF, state.translations);
    for (const key of state.unasked) this.#unasked.add(key);
    for (const key of state.outstanding) this.#outstanding.add(key);
    this.#wantsReplies = state.wantsReplies;
    if (channel === null) return;
    channel.channel.restore(channel.state, (key) => this.#onReply(key));
    this.#channel = channel.channel;
    // Other misses may have been waiting.
    if (this.#timer === null) this.#rest();
  }

  /** From now on the new owner asks for missing translations. */
  handOver(): void {
    this.#holds += 1;
    this.#stopTimer();
  }

  translations(): Translation[] {
    return this.#iotlb.save(ONLY_VF);
  }

  /** A processor, or a ring that is to start, lacks the translation of a page. */
  miss(iova: bigint, access: number): void {
    const page = pageStart(iova);
    if ((access & UNTRANSLATED_FORBIDDEN) !== 0) {
      this.#send(IotlbType.ACCESS_FAIL, page | BigInt(access & ~UNTRANSLATED_FORBIDDEN));
      return;
    }
    const known = this.#iotlb.lookUp(ONLY_VF, page);
    if (known !== null) {
      const sizeBytes = BigInt(IOMMU_PAGE_SIZE);
      const update = { type: 'update', iova: page, sizeBytes, ...known } as const;
      inBackground('pass on a translation', this.#listener.publish(update));
      return;
    }
    const key = page | BigInt(access);
    if (this.#outstanding.has(key)) return;
    // The processors ask once, so a miss that cannot be sent now must be kept here. Each processor
    // has few misses under way, so the set cannot grow without bound.
    this.#unasked.add(key);
    this.#ask();
  }

  /** The front-end waits for a reply, or is about to. Each call is followed by a `release`. */
  hold(): void {
    this.#holds += 1;
    if (this.#attemptsLeft > 0) this.#stopTimer();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    if (this.#timer === null) this.#rest();
  }

  /** Applies an update or an invalidation. Throws a Refusal if no IOMMU could have meant it. */
  async change(message: IotlbMessage): Promise<IotlbChange> {
    const change = this.#read(message);
    this.#iotlb.apply(ONLY_VF, change);
    if (change.type === 'update') this.#settle(change.iova, change.sizeBytes);
    await this.#listener.publish(change);
    return change;
  }

  /** The memory behind the translations has changed. The processors drop theirs themselves. */
  flush(): void {
    this.#iotlb.flush(ONLY_VF);
  }

  close(): void {
    this.#stopTimer();
    this.#channel = null;
    this.#unasked.clear();
    this.#outstanding.clear();
    this.flush();
  }

  #read({ type, iova, sizeBytes, userAddress, access }: IotlbMessage): IotlbChange {
    if (type === IotlbType.INVALIDATE) {
      // A size of 0 is 2^64, wrapped: the whole address space.
      const end = sizeBytes === 0n ? ALL_BYTES : iova + sizeBytes;
      const start = sizeBytes === 0n ? 0n : pageStart(iova);
      return {
        type: 'invalidate',
        iova: start,
        sizeBytes: (end > ALL_BYTES ? ALL_BYTES : end) - start,
      };
    }
    if (type !== IotlbType.UPDATE) throw new Refusal(`IOTLB message of type ${type}`);
    const isAligned = isPageRange(iova, sizeBytes) && userAddress % BigInt(IOMMU_PAGE_SIZE) === 0n;
    if (!isAligned)
      throw new Refusal(`translation of ${sizeBytes} bytes at ${iova}: not whole pages`);
    if (access < IOTLB_READ || access > (IOTLB_READ | IOTLB_WRITE)) {
      throw new Refusal(`translation with access ${access}`);
    }
    const found = this.#memory.findUserRange(userAddress, sizeBytes);
    if (found === null) throw new Refusal("a translation that leads out of the guest's memory");
    const guestAddress = found.region.guestAddress + found.offset;
    if (guestAddress % IOMMU_PAGE_SIZE !== 0) throw new Refusal('a region not aligned to pages');
    return { type: 'update', iova, sizeBytes, guestAddress, access };
  }

  #settle(iova: bigint, sizeBytes: bigint): void {
    for (const questions of [this.#unasked, this.#outstanding]) {
      for (const key of questions) {
        const page = pageStart(key);
        if (page >= iova && page < iova + sizeBytes) questions.delete(key);
      }
    }
    this.#ask();
  }

  /** Sends as many misses as are allowed now. Called whenever that number may have grown. */
  #ask(): void {
    if (this.#channel === null || this.#holds > 0 || this.#timer !== null) return;
    for (const key of this.#unasked) {
      if (this.#outstanding.size >= OUTSTANDING_MAX) return;
      this.#unasked.delete(key);
      this.#outstanding.add(key);
      this.#send(IotlbType.MISS, key, this.#wantsReplies ? this.#onReply(key) : undefined);
    }
  }

  #onReply(key: bigint): OnReply {
    return (result) => {
      this.#outstanding.delete(key);
      if (result === null) return; // the channel is closed or full
      this.#ask();
      if (result !== 0n) this.#deny(pageStart(key));
    };
  }

  /** Holds misses back until the front-end has been quiet for a while. */
  #rest(): void {
    this.#attemptsLeft -= 1;
    this.#timer = later('ask for translations', QUIET_MS, () => {
      this.#timer = null;
      this.#attemptsLeft = QUIET_ATTEMPTS_MAX;
      this.#ask();
    });
    this.#timer.unref();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #send(type: number, key: bigint, onReply?: OnReply): void {
    const iova = pageStart(key);
    const access = Number(key - iova);
    const payload = writeIotlb({ type, iova, sizeBytes: 0n, userAddress: 0n, access });
    this.#channel?.send(BackendRequest.IOTLB_MSG, payload, onReply, key);
  }

  #deny(iova: bigint): void {
    inBackground('pass on a refusal', this.#listener.publish({ type: 'deny', iova }));
    this.#listener.onDenied(iova);
  }
}
