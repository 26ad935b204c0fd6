import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  everyStep,
  type Failure,
  guarded,
  inBackground,
  later,
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

describe('background work', () => {
  it('reports its failure instead of an unhandled rejection', async () => {
    const work = Promise.reject(new Error('no'));
    inBackground('move the ring', work);
    await work.catch(() => undefined);
    expect(told()).toEqual(['move the ring: no']);
  });

  it('may be undefined, or succeed', async () => {
    inBackground('nothing', undefined);
    const work = Promise.resolve();
    inBackground('something', work);
    await work;
    expect(told()).toEqual([]);
  });
});

describe('a timer', () => {
  it('whose work throws is reported, and the process continues', async () => {
    await new Promise<void>((resolve) => {
      later('look again', 0, () => {
        resolve();
        throw new Error('no');
      });
    });
    expect(told()).toEqual(['look again: no']);
  });

  it('can be cleared', async () => {
    clearTimeout(later('look again', 0, () => expect.unreachable()));
    await new Promise((resolve) => setTimeout(resolve, 2));
    expect(told()).toEqual([]);
  });
});

describe('a listener', () => {
  it('that throws is reported, and its caller continues', () => {
    expect(guarded('tell', () => undefined)).toBe(true);
    const isDone = guarded('tell', () => {
      throw new Error('no');
    });
    expect(isDone).toBe(false);
    expect(told()).toEqual(['tell: no']);
  });

  it('of failures that throws does not keep others from being called', async () => {
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

  it('of failures that itself reports one is not called for it', async () => {
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

  it('of failures is optional: without one they become warnings', async () => {
    stop();
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    guarded('tell', () => {
      throw new Error('no');
    });
    expect((await warned).message).toBe('cannot tell: no');
  });
});

describe('every step', () => {
  it('is taken in order, even after failures', async () => {
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
