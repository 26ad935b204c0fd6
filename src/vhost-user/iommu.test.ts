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

/** A channel that keeps the misses until a test answers them. */
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

/** One region, at the same addresses for the front-end and for the guest. */
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

describe('IOTLB misses', () => {
  it('name whole pages, and each is sent once while it has no reply', () => {
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

  it('beyond the limit wait for one reply each, and none is lost', () => {
    connect();
    const all = pages(OUTSTANDING_MAX + 300);
    for (const page of all) iommu.miss(page, IOTLB_READ);
    for (const page of all) iommu.miss(page, IOTLB_READ); // all of them are waiting already
    expect(channel.asked).toEqual(all.slice(0, OUTSTANDING_MAX));
    for (let answers = 1; answers <= 300; answers++) {
      channel.answer(answers % 2 === 0 ? 0n : 1n);
      expect(channel.asked).toHaveLength(OUTSTANDING_MAX + answers);
    }
    while (channel.waiting.length > 0) channel.answer();
    expect(channel.asked).toEqual(all);
  });

  it('beyond the limit wait for updates if the front-end sends no replies', async () => {
    connect(false);
    const all = pages(OUTSTANDING_MAX + 5);
    for (const page of all) iommu.miss(page, IOTLB_WRITE);
    expect(channel.asked).toHaveLength(OUTSTANDING_MAX);
    await update(0n, 3n * PAGE);
    expect(channel.asked).toEqual(all.slice(0, OUTSTANDING_MAX + 3));
  });

  it('that an update settles while they wait are not sent', async () => {
    connect();
    const all = pages(OUTSTANDING_MAX + 3);
    for (const page of all) iommu.miss(page, IOTLB_READ);
    const [settled, ...others] = all.slice(OUTSTANDING_MAX);
    await update(settled!);
    while (channel.waiting.length > 0) channel.answer();
    expect(channel.asked).toEqual([...all.slice(0, OUTSTANDING_MAX), ...others]);
  });

  it('wait while the front-end waits for a reply, and then until it is quiet', () => {
    vi.useFakeTimers();
    connect();
    iommu.hold();
    iommu.miss(0n, IOTLB_READ);
    iommu.release();
    expect(channel.asked).toEqual([]);
    vi.runAllTimers();
    expect(channel.asked).toEqual([0n]);
  });

  it('are sent in the end even if the front-end is never quiet', () => {
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

  it('that were waiting when the channel closed are sent on the next one', () => {
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

describe('the translations of an IOMMU', () => {
  it('can be looked up once published, for the access that they allow', async () => {
    connect();
    expect(await update(0x7000n, PAGE, IOTLB_READ)).toMatchObject({ guestAddress: 0x5000 });
    expect(published).toHaveLength(1);
    expect(iommu.lookUp(0x7010n, IOTLB_READ)).toBe(0x5010);
    expect(iommu.lookUp(0x7010n, IOTLB_WRITE)).toBeNull();
  });

  it('are sent again to a processor that has forgotten them, without asking the front-end', async () => {
    connect();
    await update(0x7000n);
    iommu.miss(0x7000n, IOTLB_READ);
    expect(published).toHaveLength(2);
    expect(published[1]).toMatchObject({ type: 'update', iova: 0x7000n, guestAddress: 0x5000 });
    expect(channel.asked).toEqual([]);
  });

  it('are denied to processors and listener if the front-end has none', () => {
    connect();
    iommu.miss(0x7000n, IOTLB_READ);
    channel.answer(1n);
    expect(published).toEqual([{ type: 'deny', iova: 0x7000n }]);
    expect(denied).toEqual([0x7000n]);
  });

  it('are forgotten when invalidated, and when the memory behind them changes', async () => {
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
    ['an undefined access', { access: 4 }],
    ['an address outside all regions', { userAddress: MEMORY_END }],
    ['an address between pages', { userAddress: 1n }],
    ['an unknown type', { type: 9 }],
  ])('are refused with %s', async (_, wrong) => {
    const right = { iova: 0n, sizeBytes: PAGE, userAddress: 0n, access: READ_WRITE };
    const message = { type: IotlbType.UPDATE, ...right, ...wrong };
    await expect(iommu.change(message)).rejects.toThrow(Refusal);
    expect(published).toEqual([]);
  });

  it('that forbid an access are reported to the front-end without delay', () => {
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
