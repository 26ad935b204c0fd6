import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { COUNTER_FAULTS } from '../../layout/counters.ts';
import { CONTROL_QUEUE } from '../../layout/limits.ts';
import { RING_FAULT, RING_FAULT_TRAP } from '../../layout/virtqueue.ts';
import { RingOnProcessor } from '../../test/support/ring-on-processor.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { inBackground } from '../background.ts';
import { c } from '../os/libc.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { DEATHS_MAX, PERIOD_MS } from './death-record.ts';
import type { FunctionView, RingView } from './function-view.ts';
import type { Message } from './mailbox.ts';
import { Processor } from './processor.ts';
import { ProcessorSet } from './processor-set.ts';

/** A VF as the set sees it. Records the calls. */
class FakeVf {
  readonly name = 'vf';
  readonly number: number;
  readonly processor: number;
  readonly ringBlock: RingBlock;
  readonly faults: [queue: number, reason: string][] = [];
  readonly asides: string[] = [];
  rings: RingView[] = [];
  /** Times that it was described to a processor. */
  views = 0;

  constructor(number: number, processor: number) {
    this.number = number;
    this.processor = processor;
    this.ringBlock = { first: number * CONTROL_QUEUE, count: CONTROL_QUEUE };
  }

  isServedBy(processor: number): boolean {
    return processor === this.processor;
  }

  view(): FunctionView {
    this.views += 1;
    const { number, ringBlock, rings } = this;
    return {
      ...{ owner: number, ringBlock, rings, isBehindIommu: false },
      port: { port: number, isUp: true },
      ...{ regions: [], translations: [], wires: [] },
    };
  }

  async setAside(reason: string): Promise<void> {
    this.asides.push(reason);
  }

  async onRingFault(queue: number, { reason }: RingProblem): Promise<void> {
    this.faults.push([queue, reason]);
  }
}

let vfs: FakeVf[];
let set: ProcessorSet;
/** The supervisor's clock. */
let now: number;
/** The supervisor's waits before replacements, in ms. */
let waits: number[];
let broken: string[];
/** The MAC age that each new processor was given. */
let macAges: number[];
/** Ends the current wait. */
let endWait: () => void;
let onWait: () => void;

beforeEach(async () => {
  vfs = [new FakeVf(0, 0), new FakeVf(1, 1), new FakeVf(2, 0)];
  const owner = {
    functions: () => vfs,
    onUplinkLost: () => undefined,
    onUplinkLoop: () => undefined,
    onBroken: (reason: string) => void broken.push(reason),
  };
  now = 0;
  waits = [];
  broken = [];
  macAges = [];
  endWait = () => undefined;
  onWait = () => endWait();
  const clock = {
    now: () => now,
    wait: (milliseconds: number) =>
      new Promise<void>((resolve) => {
        waits.push(milliseconds);
        endWait = resolve;
        onWait();
      }),
  };
  const settings = { processors: 2, processorCpus: [], macAgeSeconds: 300 };
  set = new ProcessorSet(settings, owner, clock, ({ ...its }, ...rest) => {
    macAges.push(its.macAgeSeconds);
    return new Processor(its, ...rest);
  });
  await set.start();
});

afterEach(() => set.stop());

/** A message to a dying processor resolves once its replacement has been brought up. */
async function trap(ring: RingOnProcessor): Promise<void> {
  await set.post(1, ring.injectTrap);
  while (await set.post(1, { kind: 'settle' }));
}

describe('a set of processors', () => {
  it('posts to one, broadcasts to all, and answers false for an unknown one', async () => {
    expect(set.processorCount).toBe(2);
    expect(await set.post(1, { kind: 'set-mac-age', seconds: 10 })).toBe(true);
    await set.broadcast({ kind: 'set-mac-age', seconds: 10 });
    expect(await set.post(2, { kind: 'set-mac-age', seconds: 10 })).toBe(false);
  });

  it('assigns a new VF to the processor with the fewest', () => {
    expect(set.leastLoaded()).toBe(1);
    vfs.push(new FakeVf(3, 1), new FakeVf(4, 1));
    expect(set.leastLoaded()).toBe(0);
  });

  it('counts restarts and VFs in its stats', () => {
    expect(set.stats().map(({ index, restarts, vfs: count }) => [index, restarts, count])).toEqual([
      [0, 0, 2],
      [1, 0, 1],
    ]);
  });

  it('replaces a processor that trapped, blames the ring, attaches every VF again', async () => {
    const ring = new RingOnProcessor(set.shared, 1);
    expect(await set.post(1, ring.attach)).toBe(true);
    for (const vf of vfs) vf.views = 0;
    await trap(ring);
    expect(vfs.map((vf) => vf.views > 0)).toEqual([true, true, true]);
    expect(vfs.map((vf) => vf.faults)).toEqual([
      [],
      [[ring.number - CONTROL_QUEUE, 'the firmware trapped: memory access out of bounds']],
      [],
    ]);
    expect(set.shared.ringField(ring.number, RING_FAULT)).toBe(RING_FAULT_TRAP);
    expect(set.shared.counter(ring.number, COUNTER_FAULTS)).toBe(1);
    expect(set.stats().map(({ restarts }) => restarts)).toEqual([0, 1]);
    expect(await set.post(1, { kind: 'set-mac-age', seconds: 10 })).toBe(true);
    ring.close();
  });

  it('gives a replacement the MAC age that the others have by now', async () => {
    const ring = new RingOnProcessor(set.shared, 1);
    await set.post(1, ring.attach);
    await set.setMacAge(7);
    await trap(ring);
    expect(macAges).toEqual([300, 300, 7]);
    ring.close();
  });

  it('sets aside a VF that it cannot attach again, and attaches the others', async () => {
    const [, vf] = vfs;
    const ring = new RingOnProcessor(set.shared, 1);
    await set.post(1, ring.attach);
    vf!.view = () => {
      throw new Error('mmap failed: EPERM');
    };
    await trap(ring);
    expect(vf?.asides[0]).toBe('processor 1 cannot attach it: mmap failed: EPERM');
    expect(vfs.map(({ asides }) => asides.length > 0)).toEqual([false, true, false]);
    ring.close();
  });
});

describe('a processor that dies without a ring to blame', () => {
  /** Kills it like a bug of ours would. Resolves when it runs again or has been given up. */
  async function kill(): Promise<void> {
    inBackground('kill', set.post(1, undefined as unknown as Message));
    await until(() => set.healthOf(1).state !== 'running');
    await until(() => set.healthOf(1).state !== 'recovering');
  }

  const until = (isTrue: () => boolean) => waitUntil(isTrue, () => set.healthOf(1));

  it('is replaced, immediately at first and then after longer and longer waits', async () => {
    for (let death = 0; death < 3; death++) await kill();
    expect(set.healthOf(1)).toEqual({ state: 'running' });
    expect(waits).toEqual([100, 200]);
    expect(broken).toEqual([]);
  });

  it('is recovering until the last port is attached again', async () => {
    await kill();
    const waiting = new Promise<void>((resolve) => {
      onWait = resolve;
    });
    inBackground('kill', set.post(1, undefined as unknown as Message));
    await waiting;
    expect(set.healthOf(1)).toEqual({
      state: 'recovering',
      reason: expect.stringContaining('undefined'),
    });
    expect(set.healthOf(0)).toEqual({ state: 'running' });
    endWait();
    await until(() => set.healthOf(1).state === 'running');
    expect(await set.post(1, { kind: 'set-mac-age', seconds: 10 })).toBe(true);
  });

  it('is given up after too many deaths, and only what it served is set aside', async () => {
    for (let death = 0; death <= DEATHS_MAX; death++) await kill();
    const reason = expect.stringMatching(/^processor 1 keeps dying: /);
    expect(set.healthOf(1)).toEqual({ state: 'broken', reason });
    expect(vfs.map(({ asides }) => asides)).toEqual([[], [reason], []]);
    expect(broken).toEqual([reason]);
    expect(await set.post(1, { kind: 'set-mac-age', seconds: 10 })).toBe(false);
    expect(await set.post(0, { kind: 'set-mac-age', seconds: 10 })).toBe(true);
    expect(set.leastLoaded(), 'though it has more VFs').toBe(0);
  });

  it('is not given up after a few deaths per period, however long the NIC runs', async () => {
    for (let death = 0; death < DEATHS_MAX + 2; death++) {
      await kill();
      now += PERIOD_MS / 2;
    }
    expect(set.healthOf(1)).toEqual({ state: 'running' });
    expect(vfs.flatMap(({ asides }) => asides)).toEqual([]);
  });

  it('is retried as often if it cannot be created again, then given up', async () => {
    const failing = vi.spyOn(c, 'eventfd').mockImplementation(() => {
      throw new Error('eventfd failed: EMFILE');
    });
    try {
      await kill();
    } finally {
      failing.mockRestore();
    }
    const reason = expect.stringMatching(/^processor 1 keeps dying: eventfd failed: /);
    expect(set.healthOf(1)).toEqual({ state: 'broken', reason });
    expect(vfs.map(({ asides }) => asides)).toEqual([[], [reason], []]);
  });
});
