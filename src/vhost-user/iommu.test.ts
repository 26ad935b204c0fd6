import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IOTLB_READ, IOTLB_WRITE, UNTRANSLATED_FORBIDDEN } from '../../layout/memory.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { IotlbChange } from '../memory/iotlb.ts';
import type { BackendChannel, OnReply } from './backend-channel.ts';
import { Iommu, OUTSTANDING_MAX } from './iommu.ts';
import { type IotlbMessage, IotlbType, readIotlb } from './message.ts';
import { Refusal } from './refusal.ts';

const PAGE = 4096n;
const READ_WRITE = IOTLB_READ | IOTLB_WRITE;
const MEMORY_END = 1n << 32n;

/** A channel that keeps what is asked until a test answers it. */
class FakeChannel {
  readonly sent: IotlbMessage[] = [];
  readonly waiting: { iova: bigint; onReply: OnReply }[] = [];
  isClosed = false;

  send(_request: number, payload: Uint8Array, onReply?: OnReply): void {
    if (this.isClosed) {
      onReply?.(null);
      return;
    }
    const message = readIotlb(payload);
    this.sent.push(message);
    if (onReply !== undefined) this.waiting.push({ iova: message.iova, onReply });
  }

  /** The pages asked for so far. */
  get asked(): bigint[] {
    return this.sent.filter(({ type }) => type === IotlbType.MISS).map(({ iova }) => iova);
  }

  answer(result = 0n): void {
    this.waiting.shift()?.onReply(result);
  }

  close(): void {
    this.isClosed = true;
    for (const { onReply } of this.waiting.splice(0)) onReply(null);
  }
}

function pages(count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => BigInt(index) * PAGE);
}

let channel: FakeChannel;
let iommu: Iommu;
let published: IotlbChange[];
let denied: bigint[];

/** One region, which lies at the same addresses for the front-end and for the guest. */
const memory = {
  findUserRange(address: bigint, sizeBytes: bigint) {
    const isInside = address + sizeBytes <= MEMORY_END;
    return isInside ? { region: { guestAddress: 0 }, offset: Number(address) } : null;
  },
} as unknown as GuestMemory;

function connect(wantsReplies = true): void {
  channel = new FakeChannel();
  iommu.connect(channel as unknown as BackendChannel, wantsReplies);
}

function update(iova: bigint, sizeBytes = PAGE, access = READ_WRITE): Promise<IotlbChange> {
  return iommu.change({ type: IotlbType.UPDATE, iova, sizeBytes, userAddress: 0x5000n, access });
}

beforeEach(() => {
  published = [];
  denied = [];
  iommu = new Iommu(memory, {
    publish: async (change) => {
      published.push(change);
    },
    onDenied: (iova) => denied.push(iova),
  });
});

afterEach(() => {
  iommu.close();
  vi.useRealTimers();
});

describe('the questions to an IOMMU', () => {
  it('are of whole pages, each once while it has no answer', () => {
    connect();
    iommu.miss(0x7123n, IOTLB_READ);
    iommu.miss(0x7fffn, IOTLB_READ);
    iommu.miss(0x7000n, IOTLB_WRITE);
    expect(channel.sent).toMatchObject([
      { type: IotlbType.MISS, iova: 0x7000n, access: IOTLB_READ },
      { type: IotlbType.MISS, iova: 0x7000n, access: IOTLB_WRITE },
    ]);
    channel.answer();
    iommu.miss(0x7000n, IOTLB_READ);
    expect(channel.asked).toHaveLength(3);
  });

  it('wait for a channel', () => {
    for (const page of pages(3)) iommu.miss(page, IOTLB_READ);
    connect();
    expect(channel.asked).toEqual(pages(3));
  });

  it('beyond the limit wait for an answer each, and none is lost', () => {
    connect();
    const all = pages(OUTSTANDING_MAX + 300);
    for (const page of all) iommu.miss(page, IOTLB_READ);
    for (const page of all) iommu.miss(page, IOTLB_READ); // they wait already
    expect(channel.asked).toEqual(all.slice(0, OUTSTANDING_MAX));
    for (let answers = 1; answers <= 300; answers++) {
      channel.answer(answers % 2 === 0 ? 0n : 1n);
      expect(channel.asked).toHaveLength(OUTSTANDING_MAX + answers);
    }
    while (channel.waiting.length > 0) channel.answer();
    expect(channel.asked).toEqual(all);
  });

  it('beyond the limit wait for updates, where nobody answers', async () => {
    connect(false);
    const all = pages(OUTSTANDING_MAX + 5);
    for (const page of all) iommu.miss(page, IOTLB_WRITE);
    expect(channel.asked).toHaveLength(OUTSTANDING_MAX);
    await update(0n, 3n * PAGE);
    expect(channel.asked).toEqual(all.slice(0, OUTSTANDING_MAX + 3));
  });

  it('that an update has settled while they waited are not asked', async () => {
    connect();
    const all = pages(OUTSTANDING_MAX + 3);
    for (const page of all) iommu.miss(page, IOTLB_READ);
    const [settled, ...others] = all.slice(OUTSTANDING_MAX);
    await update(settled!);
    while (channel.waiting.length > 0) channel.answer();
    expect(channel.asked).toEqual([...all.slice(0, OUTSTANDING_MAX), ...others]);
  });

  it('wait while the front-end waits for an answer, and until it is quiet', () => {
    vi.useFakeTimers();
    connect();
    iommu.hold();
    iommu.miss(0n, IOTLB_READ);
    iommu.release();
    expect(channel.asked).toEqual([]);
    vi.runAllTimers();
    expect(channel.asked).toEqual([0n]);
  });

  it('are asked in the end, though the front-end is never quiet', () => {
    vi.useFakeTimers();
    connect();
    iommu.miss(0n, IOTLB_READ);
    channel.answer();
    for (let request = 0; channel.asked.length < 2; request++) {
      expect(request, 'requests before the question').toBeLessThan(50);
      iommu.hold();
      iommu.miss(PAGE, IOTLB_READ);
      iommu.release();
      vi.advanceTimersByTime(5);
    }
  });

  it('that waited when the channel closed are asked on the next', () => {
    connect();
    const all = pages(OUTSTANDING_MAX + 2);
    for (const page of all) iommu.miss(page, IOTLB_READ);
    channel.close();
    connect();
    expect(channel.asked).toEqual(all.slice(OUTSTANDING_MAX));
  });

  it('end with the session', () => {
    iommu.miss(0n, IOTLB_READ);
    iommu.close();
    connect();
    expect(channel.asked).toEqual([]);
  });
});

describe('the answers of an IOMMU', () => {
  it('are known when they are published, for the access they allow', async () => {
    connect();
    expect(await update(0x7000n, PAGE, IOTLB_READ)).toMatchObject({ guestAddress: 0x5000 });
    expect(published).toHaveLength(1);
    expect(iommu.lookUp(0x7010n, IOTLB_READ)).toBe(0x5010);
    expect(iommu.lookUp(0x7010n, IOTLB_WRITE)).toBeNull();
  });

  it('are told again to a processor that has forgotten them, and nobody is asked', async () => {
    connect();
    await update(0x7000n);
    iommu.miss(0x7000n, IOTLB_READ);
    expect(published).toHaveLength(2);
    expect(published[1]).toMatchObject({ type: 'update', iova: 0x7000n, guestAddress: 0x5000 });
    expect(channel.asked).toEqual([]);
  });

  it('"there is nothing" goes to whoever wanted it', () => {
    connect();
    iommu.miss(0x7000n, IOTLB_READ);
    channel.answer(1n);
    expect(published).toEqual([{ type: 'deny', iova: 0x7000n }]);
    expect(denied).toEqual([0x7000n]);
  });

  it('are forgotten with what an invalidation names, and with the memory behind them', async () => {
    const invalidate = (iova: bigint, sizeBytes: bigint) =>
      iommu.change({ type: IotlbType.INVALIDATE, iova, sizeBytes, userAddress: 0n, access: 0 });
    connect();
    await update(0n, 4n * PAGE);
    expect(await invalidate(PAGE + 5n, 1n)).toMatchObject({ iova: PAGE });
    expect(iommu.lookUp(PAGE, IOTLB_READ)).toBeNull();
    expect(iommu.lookUp(0n, IOTLB_READ)).not.toBeNull();
    expect(await invalidate(0n, 0n), 'all').toMatchObject({ iova: 0n, sizeBytes: 1n << 64n });
    expect(iommu.lookUp(0n, IOTLB_READ)).toBeNull();
    await update(0n);
    iommu.flush();
    expect(iommu.lookUp(0n, IOTLB_READ)).toBeNull();
  });

  it.each([
    ['half a page', { sizeBytes: PAGE / 2n }],
    ['no access', { access: 0 }],
    ['an access that is none', { access: 4 }],
    ['memory that is not there', { userAddress: MEMORY_END }],
    ['an address between pages', { userAddress: 1n }],
    ['a type of its own', { type: 9 }],
  ])('are refused with %s', async (_, wrong) => {
    const right = { iova: 0n, sizeBytes: PAGE, userAddress: 0n, access: READ_WRITE };
    const message = { type: IotlbType.UPDATE, ...right, ...wrong };
    await expect(iommu.change(message)).rejects.toThrow(Refusal);
    expect(published).toEqual([]);
  });

  it('that forbid what was tried are told to the front-end, at once', () => {
    vi.useFakeTimers();
    connect();
    iommu.hold();
    iommu.miss(0x7008n, IOTLB_WRITE | UNTRANSLATED_FORBIDDEN);
    expect(channel.sent).toMatchObject([
      { type: IotlbType.ACCESS_FAIL, iova: 0x7000n, access: IOTLB_WRITE },
    ]);
    expect(channel.waiting).toEqual([]);
  });
});
