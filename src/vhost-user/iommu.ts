import { IOTLB_READ, IOTLB_WRITE, UNTRANSLATED_FORBIDDEN } from '../../layout/memory.ts';
import { inBackground } from '../background.ts';
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

/** Questions that a front-end has not answered yet. What comes beyond waits until it has. */
export const OUTSTANDING_MAX = 256;

/**
 * How long the connection has to be quiet before the first question after a request, in
 * milliseconds. QEMU 6.0 to 7.2 look at this channel while they wait for an answer on the other,
 * and then take the one for the other ("Received unexpected msg type").
 */
const QUIET_MS = 20;
/** … and how many times in a row more may come in between: no front-end talks all the time. */
const QUIET_ATTEMPTS_MAX = 10;

const ALL_BYTES = 1n << 64n;
const ONLY_VF = 0;

export interface IommuState {
  translations: Translation[];
  /** Questions: a page, and the access in its low bits. */
  unasked: bigint[];
  outstanding: bigint[];
  wantsReplies: boolean;
}

export interface IommuListener {
  /** Tells the processors, and resolves when none uses what was there before. */
  publish(change: IotlbChange): Promise<void>;
  /** A question was answered by "there is nothing". */
  onDenied(iova: bigint): void;
}

/**
 * The guest's IOMMU, as far as its front-end lets us know it: asks for translations, and keeps
 * those that it was told.
 *
 *     processor lacks one ─► miss ─► front-end        update, invalidate ─► processors ─► acknowledged
 */
export class Iommu {
  readonly #memory: GuestMemory;
  readonly #listener: IommuListener;
  readonly #iotlb = new Iotlb();
  // Questions: a page, and the access in its low bits.
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

  /** Where questions go from now on, and whether their failure is reported (REPLY_ACK). */
  connect(channel: BackendChannel, wantsReplies: boolean): void {
    this.#channel = channel;
    this.#wantsReplies = wantsReplies;
    this.#ask();
  }

  /** Where a page of I/O virtual addresses lies, if that is known and `access` is allowed. */
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

  /** `channel`: where it asked, with what is still to be answered there. */
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
    // Others may have been about to be asked.
    if (this.#timer === null) this.#rest();
  }

  /** What is missing from now on another one asks for. */
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
    // The processors ask once: what cannot be passed on now must not be forgotten here. Each has
    // few questions under way, so this cannot grow without bound.
    this.#unasked.add(key);
    this.#ask();
  }

  /** The front-end waits for an answer, or is about to. To be followed by `release`. */
  hold(): void {
    this.#holds += 1;
    if (this.#attemptsLeft > 0) this.#stopTimer();
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    if (this.#timer === null) this.#rest();
  }

  /** An update or an invalidation. Throws a Refusal for what no IOMMU can mean. */
  async change(message: IotlbMessage): Promise<IotlbChange> {
    const change = this.#read(message);
    this.#iotlb.apply(ONLY_VF, change);
    if (change.type === 'update') this.#settle(change.iova, change.sizeBytes);
    await this.#listener.publish(change);
    return change;
  }

  /** The memory that translations name has changed. The processors forget them by themselves. */
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
      // The end of the address space, said as a size that wraps, is all of it.
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

  /** Asks as much as may be asked now. Called whenever that may have become more. */
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
      if (result === null) return; // the channel takes no more
      this.#ask();
      if (result !== 0n) this.#deny(pageStart(key));
    };
  }

  /** Questions wait for the front-end to have nothing more to say. */
  #rest(): void {
    this.#attemptsLeft -= 1;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#attemptsLeft = QUIET_ATTEMPTS_MAX;
      this.#ask();
    }, QUIET_MS);
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
