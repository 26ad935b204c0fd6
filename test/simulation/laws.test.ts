import { afterEach, describe, expect, it } from 'vitest';
import { NODE_FIRST_GROUP } from '../../layout/limits.ts';
import { type SendingWords, sendingPromise, writePromise } from '../../src/state/promises.ts';
import { Market, type Trader } from '../support/market.ts';

// What docs/sharing.md promises, with the promises that the control plane makes of its words, on
// the clock of `../support/market.ts`.

const MS = 1e6;
const MBIT = 1e6;
const GBIT = 1e9;
const WORDS: SendingWords = { txShare: 0, txMax: 0, txWeight: 1, txPriority: 0, txBurst: 0 };
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);
const sum = (amounts: readonly number[]) => amounts.reduce((total, amount) => total + amount, 0);

describe('in simulation', () => {
  let market: Market;

  afterEach(() => market.close());

  /** `totalShare`: of all guarantees on the NIC. */
  function promise(node: number, words: Partial<SendingWords>, parent = 0, totalShare = 0): void {
    const all = { ...WORDS, ...words };
    const { host } = market.wire;
    const place = { parent, share: all.txShare, totalShare };
    writePromise(host.shared.view, node, sendingPromise(all, place));
    host.firmware.changeNode(node);
  }

  function during(nanoseconds: number, what: 'bytes' | 'workNanoseconds'): number[] {
    const before = market.all(what);
    market.run(nanoseconds);
    return market.all(what).map((value, at) => value - before[at]!);
  }

  it('five keep their guarantees beside floods of 16 rings and a thousand times their weight', () => {
    const guests = upTo(5).map((): Trader => ({ bytes: 1500 }));
    const floods = upTo(3).map((): Trader => ({ bytes: 64, pairs: 16 }));
    market = new Market([...guests, ...floods]);
    for (const at of guests.keys()) promise(at, { txShare: GBIT }, 0, 5 * GBIT);
    for (const at of floods.keys()) promise(guests.length + at, { txWeight: 1000 });
    market.run(5 * MS);
    const started = market.now;
    const got = during(15 * MS, 'bytes').slice(0, guests.length);
    const wanted = (GBIT / 8) * ((market.now - started) / 1e9);
    for (const bytes of got) expect(bytes / wanted).toBeGreaterThan(0.99);
    // It is the guarantee: their weight would give them next to nothing.
    for (const bytes of got) expect(bytes / wanted).toBeLessThan(1.2);
  });

  // the NIC ─┬─ 0: A ─┬─ 2: A1 ─┬─ 3: A11 ─┬─ 4: A111 ── VF 0, VF 1
  //          │        └─ VF 4   └─ VF 3    └─ VF 2
  //          └─ VF 5
  const GROUPS = [0, 1, 2, 3].map((level) => NODE_FIRST_GROUP + level);
  const WEIGHTS = [3, 2, 5, 4];

  /** In four levels: of each, the group weighs `WEIGHTS`, and the VF beside it 1. */
  function buildLevels(words: (level: number) => Partial<SendingWords>): void {
    market = new Market(upTo(6).map((): Trader => ({ bytes: 1500 })));
    for (const [level, group] of GROUPS.entries()) {
      const parent = GROUPS[level - 1] ?? 0;
      promise(group, { txWeight: WEIGHTS[level]!, ...words(level) }, parent);
      promise(5 - level, {}, parent);
    }
    promise(0, {}, GROUPS[3]);
    promise(1, {}, GROUPS[3]);
    market.run(10 * MS);
  }

  it('weights hold at each of four levels', () => {
    buildLevels(() => ({}));
    const work = during(100 * MS, 'workNanoseconds');
    for (const [level, weight] of WEIGHTS.entries()) {
      const inside = sum(work.slice(0, 5 - level));
      expect(inside / work[5 - level]! / weight, `level ${level}`).toBeGreaterThan(0.99);
      expect(inside / work[5 - level]! / weight, `level ${level}`).toBeLessThan(1.01);
    }
    expect(work[0]! / work[1]!).toBeCloseTo(1, 2);
  });

  it.each([0, 1, 2, 3])('a maximum holds at level %i of four', (limited) => {
    buildLevels((level) => (level === limited ? { txMax: GBIT } : {}));
    const started = market.now;
    const bytes = during(30 * MS, 'bytes');
    const wanted = (GBIT / 8) * ((market.now - started) / 1e9);
    const inside = sum(bytes.slice(0, 5 - limited));
    expect(inside / wanted).toBeGreaterThan(0.99);
    expect(inside / wanted).toBeLessThan(1.01);
  });

  it.each([
    ['broadcasts', { bytes: 64, isBroadcasting: true, pairs: 4 }],
    ['broadcasts of 1500 bytes', { bytes: 1500, isBroadcasting: true, pairs: 4 }],
  ])('a guarantee of 1 Gbit that is spent on %s takes its cap of time', (_, spender) => {
    const others = upTo(5).map((): Trader => ({ bytes: 1500 }));
    const floods = upTo(2).map((): Trader => ({ bytes: 64 }));
    market = new Market([spender, ...others, ...floods]);
    const total = (1 + others.length) * GBIT;
    const { shareTime = 0 } = sendingPromise(
      { ...WORDS, txShare: GBIT },
      { parent: 0, share: GBIT, totalShare: total },
    );
    for (const at of upTo(1 + others.length)) promise(at, { txShare: GBIT }, 0, total);
    for (const at of floods.keys()) promise(1 + others.length + at, { txWeight: 1000 });
    market.run(5 * MS);
    const started = market.now;
    const bytes = others.map((_other, at) => market.had(1 + at, 'bytes'));
    const [work = 0] = during(12 * MS, 'workNanoseconds');
    const span = market.now - started;
    expect((work / span) * shareTime).toBeLessThan(1.05);
    for (const [at, before] of bytes.entries()) {
      const got = market.had(1 + at, 'bytes') - before;
      expect(got / ((GBIT / 8) * (span / 1e9))).toBeGreaterThan(0.99);
    }
  });

  it('a maximum of 1 Mbit keeps nothing of a pause of 1 s', () => {
    const isOpen = (t: number) => t < 50 * MS || t > 1050 * MS;
    market = new Market([{ bytes: 1500, isOpen }]);
    promise(0, { txMax: MBIT });
    market.run(1050 * MS);
    const [bytes = 0] = during(1000 * MS, 'bytes');
    expect(bytes / (MBIT / 8)).toBeLessThan(1.05);
    expect(bytes / (MBIT / 8)).toBeGreaterThan(0.97);
  });

  it.each([4000, 50_000])('who is silent half of each %i ns gets no more', (period) => {
    const isOpen = (t: number) => t % period < period / 2;
    const honest = upTo(7).map((): Trader => ({ bytes: 64 }));
    market = new Market([{ bytes: 64, pairs: 16, backlog: 8, isOpen }, ...honest]);
    market.run(5 * MS);
    const work = during(12 * MS, 'workNanoseconds');
    const equal = sum(work.slice(1)) / honest.length;
    expect(work[0]! / equal).toBeLessThan(1.05);
  });
});
