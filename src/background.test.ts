import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  everyStep,
  type Failure,
  guarded,
  inBackground,
  onFailure,
  reportFailure,
} from './background.ts';

const failures: Failure[] = [];
let stop = () => {};

beforeEach(() => {
  failures.length = 0;
  stop = onFailure((failure) => failures.push(failure));
});
afterEach(() => stop());

const told = () => failures.map(({ what, error }) => `${what}: ${error.message}`);

describe('work that nobody waits for', () => {
  it('reports its failure, and is no unhandled rejection', async () => {
    const work = Promise.reject(new Error('no'));
    inBackground('move the ring', work);
    await work.catch(() => undefined);
    expect(told()).toEqual(['move the ring: no']);
  });

  it('may be no work at all, or succeed', async () => {
    inBackground('nothing', undefined);
    const work = Promise.resolve();
    inBackground('something', work);
    await work;
    expect(told()).toEqual([]);
  });
});

describe('a listener', () => {
  it('that throws is reported, and its caller goes on', () => {
    expect(guarded('tell', () => undefined)).toBe(true);
    const isDone = guarded('tell', () => {
      throw new Error('no');
    });
    expect(isDone).toBe(false);
    expect(told()).toEqual(['tell: no']);
  });

  it('of failures that throws does not keep the others from hearing', async () => {
    const stopOther = onFailure(() => {
      throw new Error('mine');
    });
    const warned = new Promise((resolve) => process.once('warning', resolve));
    stop();
    stop = onFailure((failure) => failures.push(failure));
    guarded('tell', () => {
      throw new Error('no');
    });
    stopOther();
    expect(told()).toEqual(['tell: no']);
    await warned;
  });

  it('of failures that fails again and again is not told of itself', async () => {
    let calls = 0;
    const stopOther = onFailure(() => {
      calls += 1;
      reportFailure('tell more', new Error('mine'));
    });
    const warned = new Promise((resolve) => process.once('warning', resolve));
    reportFailure('tell', new Error('no'));
    stopOther();
    await warned;
    expect(calls).toBe(1);
  });

  it('of failures is not needed: they become warnings', async () => {
    stop();
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    guarded('tell', () => {
      throw new Error('no');
    });
    expect((await warned).message).toBe('cannot tell: no');
  });
});

describe('every step', () => {
  it('is taken in order, whatever becomes of those before', async () => {
    const taken: number[] = [];
    await everyStep('end', [
      () => taken.push(1),
      () => {
        throw new Error('first');
      },
      () => Promise.reject(new Error('second')),
      async () => taken.push(2),
    ]);
    expect(taken).toEqual([1, 2]);
    expect(told()).toEqual(['end: first', 'end: second']);
  });
});
