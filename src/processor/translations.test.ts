import { beforeEach, describe, expect, it } from 'vitest';
import {
  IOTLB_READ,
  IOTLB_WRITE,
  REGISTERS_BASE,
  UNTRANSLATED_ACCESS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_ENTRY_SIZE,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory.ts';
import { REGISTER_UNTRANSLATED_COUNT } from '../../layout/processor.ts';
import type { IotlbChange } from '../memory/iotlb.ts';
import type { Firmware } from './firmware.ts';
import type { Report } from './mailbox.ts';
import { Translations } from './translations.ts';

const PAGE = 4096n;
/** Numbers of two functions, and the rings of the first. */
const OWNER = 3;
const OTHER = 4;
const RING = 40;
const RINGS = { first: RING, count: 12 };

/** More than one VF may have pending. */
const MANY = 1000;

/** Firmware that lists untranslated addresses on demand, and logs its calls. */
class FakeFirmware {
  readonly buffer = new ArrayBuffer(UNTRANSLATED_LIST_BASE + MANY * UNTRANSLATED_ENTRY_SIZE);
  readonly view = new DataView(this.buffer);
  readonly log: string[] = [];
  readonly table = new Map<bigint, bigint>();
  /** What a look at a ring finds. */
  readonly ahead = new Map<number, bigint[]>();

  note(owner: number, iova: bigint, access: number): void {
    const at = REGISTERS_BASE + REGISTER_UNTRANSLATED_COUNT;
    const count = this.view.getUint32(at, true);
    const entry = UNTRANSLATED_LIST_BASE + count * UNTRANSLATED_ENTRY_SIZE;
    this.view.setUint32(entry, owner, true);
    this.view.setUint32(entry + UNTRANSLATED_ACCESS, access, true);
    this.view.setBigUint64(entry + UNTRANSLATED_ADDRESS, iova, true);
    this.view.setUint32(at, count + 1, true);
  }

  get noted(): number {
    return this.view.getUint32(REGISTERS_BASE + REGISTER_UNTRANSLATED_COUNT, true);
  }

  insertTranslation(tag: bigint, value: bigint): void {
    this.table.set(tag, value);
  }

  removeTranslation(tag: bigint): void {
    this.table.delete(tag);
  }

  unparkRings(first: number, count: number): void {
    this.log.push(`unpark ${count} from ${first}`);
  }

  /** Rings that one look can afford. */
  budget = Number.POSITIVE_INFINITY;
  left = 0;

  openLookAhead(): void {
    this.left = this.budget;
  }

  beginHostWork(): void {}

  chargeHostWork(): void {}

  lookAhead(ring: number): number {
    expect(this.noted, 'the list is empty').toBe(0);
    this.log.push(`look at ${ring}`);
    for (const iova of this.ahead.get(ring) ?? []) this.note(OWNER, iova, IOTLB_WRITE);
    this.left -= 1;
    return this.left > 0 ? 1 : 0;
  }
}

let firmware: FakeFirmware;
let translations: Translations;
let asked: string[];

beforeEach(() => {
  firmware = new FakeFirmware();
  asked = [];
  const report = (one: Report): void => {
    if (one.kind !== 'untranslated') throw new Error(`assertion: reported ${one.kind}`);
    asked.push(`${one.owner}: ${one.iova.toString(16)} ${one.access}`);
  };
  translations = new Translations(firmware as unknown as Firmware, firmware.buffer, report);
});

function need(iova: bigint, access: number = IOTLB_READ, owner = OWNER): void {
  firmware.note(owner, iova, access);
  translations.drain();
}

function update(iova: bigint, pages = 1n): IotlbChange {
  const range = { iova, sizeBytes: pages * PAGE, guestAddress: 0x10000 };
  return { type: 'update', ...range, access: IOTLB_READ | IOTLB_WRITE };
}

describe('an untranslated address', () => {
  it('is requested by page, for reading and for writing, and taken off the list', () => {
    firmware.note(OWNER, 0x7123n, IOTLB_READ);
    firmware.note(OWNER, 0x7456n, IOTLB_WRITE);
    firmware.note(OTHER, 0x7123n, IOTLB_READ);
    translations.drain();
    expect(asked).toEqual(['3: 7000 1', '3: 7000 2', '4: 7000 1']);
    expect(firmware.noted).toBe(0);
    translations.drain();
    expect(asked).toHaveLength(3);
  });

  it('is requested once, until there is an answer', () => {
    need(0x7000n);
    need(0x7008n);
    expect(asked).toHaveLength(1);
    translations.apply(OWNER, RINGS, update(0x7000n));
    need(0x7000n);
    expect(asked).toHaveLength(2);
  });

  it.each<[string, IotlbChange, bigint[]]>([
    ['an update', update(0x6000n, 3n), [6n, 7n, 8n]],
    ['an invalidation', { type: 'invalidate', iova: 0x7000n, sizeBytes: 2n * PAGE }, [7n, 8n]],
    ['a denial', { type: 'deny', iova: 0x7000n }, [7n]],
  ])('is settled by %s that covers its page, and by nothing else', (_, change, answered) => {
    const pages = [5n, 6n, 7n, 8n, 9n];
    for (const page of pages) need(page * PAGE);
    translations.apply(OTHER, RINGS, change); // another guest's
    translations.apply(OWNER, RINGS, change);
    asked.length = 0;
    for (const page of pages) need(page * PAGE);
    expect(asked).toEqual(answered.map((page) => `3: ${page}000 1`));
  });

  it('is requested again when the guest gets other memory', () => {
    need(0x7000n);
    need(0x7000n, IOTLB_READ, OTHER);
    translations.flush(OWNER, RINGS);
    need(0x7000n);
    need(0x7000n, IOTLB_READ, OTHER);
    expect(asked).toEqual(['3: 7000 1', '4: 7000 1', '3: 7000 1']);
  });

  it('is requested while there is room, and an answer makes room again', () => {
    for (let page = 0n; page < MANY; page++) need(page * PAGE);
    const room = asked.length;
    expect(room).toBeGreaterThan(0);
    expect(room).toBeLessThan(MANY);
    need(0n, IOTLB_READ, OTHER);
    expect(asked, 'another guest has its own room').toHaveLength(room + 1);
    translations.apply(OWNER, RINGS, { type: 'deny', iova: 0n });
    need(BigInt(MANY) * PAGE);
    need(BigInt(MANY + 1) * PAGE);
    expect(asked.slice(room + 1)).toEqual([`3: ${(MANY * 4096).toString(16)} 1`]);
  });
});

describe('a translation', () => {
  it('is entered before the rings that wait for it are resumed', () => {
    firmware.unparkRings = (first) =>
      firmware.log.push(`unpark ${first}, ${firmware.table.size} known`);
    translations.apply(OWNER, RINGS, update(0x7000n, 2n));
    translations.apply(OWNER, RINGS, { type: 'invalidate', iova: 0x7000n, sizeBytes: PAGE });
    translations.flush(OWNER, RINGS);
    expect(firmware.log).toEqual([
      'unpark 40, 2 known',
      'unpark 40, 1 known',
      'unpark 40, 0 known',
    ]);
  });
});

describe('the look ahead', () => {
  it('requests the translations of the buffers of each watched ring', () => {
    firmware.ahead.set(RING, [0x1000n, 0x2000n]).set(RING + 2, [0x3000n]);
    translations.lookAhead();
    expect(firmware.log).toEqual([]);
    for (const ring of [RING, RING + 2, RING + 4]) translations.watch(ring, OWNER);
    translations.unwatch(RING + 4);
    translations.lookAhead();
    expect(firmware.log.sort()).toEqual([`look at ${RING}`, `look at ${RING + 2}`]);
    expect(asked.sort()).toEqual(['3: 1000 2', '3: 2000 2', '3: 3000 2']);
  });

  it('has one budget for all rings, and resumes where it stopped', () => {
    const rings = [RING, RING + 2, RING + 4, RING + 6, RING + 8];
    for (const ring of rings) translations.watch(ring, OWNER);
    firmware.budget = 2;
    for (let look = 0; look < 5; look++) {
      firmware.log.length = 0;
      translations.lookAhead();
      expect(firmware.log).toHaveLength(2);
    }
    firmware.log.length = 0;
    for (let look = 0; look < 5; look++) translations.lookAhead();
    // Ten looks at five rings: two for each.
    for (const ring of rings) {
      expect(firmware.log.filter((line) => line === `look at ${ring}`)).toHaveLength(2);
    }
  });

  it('runs now and then while there is work', () => {
    translations.watch(RING, OWNER);
    for (let round = 0; round < 160; round++) translations.lookNowAndThen();
    expect(firmware.log).toHaveLength(10);
  });

  it('skips a guest that has no room for requests', () => {
    translations.watch(RING, OWNER);
    for (let page = 0n; page < MANY; page++) need(page * PAGE);
    translations.lookAhead();
    expect(firmware.log).toEqual([]);
    translations.apply(OWNER, RINGS, { type: 'deny', iova: 0n });
    translations.lookAhead();
    expect(firmware.log).toEqual(['unpark 12 from 40', `look at ${RING}`]);
  });
});
