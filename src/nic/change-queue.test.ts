import { describe, expect, it } from 'vitest';
import { ChangeQueue } from './change-queue.ts';

/** A promise and the functions that settle it. */
function deferred<Result>() {
  let resolve: (result: Result) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<Result>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}

function queue(secondsMax?: number) {
  const told: string[] = [];
  let onTold = () => {};
  const changes = new ChangeQueue({
    ...(secondsMax === undefined ? {} : { secondsMax }),
    onOverdue: (reason) => {
      told.push(reason);
      onTold();
    },
  });
  const nextTold = () => new Promise<void>((resolve) => (onTold = resolve));
  return { changes, told, nextTold };
}

describe('changes', () => {
  it('are carried out one at a time, and a failure does not stop the next', async () => {
    const { changes } = queue();
    const order: string[] = [];
    const first = deferred<void>();
    const a = changes.run('a', async () => {
      await first.promise;
      order.push('a');
      throw new Error('no');
    });
    const b = changes.run('b', async () => order.push('b'));
    first.resolve();
    await expect(a).rejects.toThrow('no');
    await b;
    expect(order).toEqual(['a', 'b']);
  });

  it('that take too long are reported to the caller and as an event, and so is their end', async () => {
    const { changes, told, nextTold } = queue(0.01);
    const stuck = deferred<void>();
    const change = changes.run('add VF a', () => stuck.promise);
    await expect(change).rejects.toMatchObject({ code: 'HEDDLE_CHANGE_OVERDUE' });
    expect(told).toEqual(['"add VF a" takes longer than 0.01 s']);
    const ended = nextTold();
    stuck.reject(new Error('no room'));
    await ended;
    expect(told[1]).toBe('"add VF a" has ended after all: no room');
  });

  it('that wait too long behind a stuck one are refused and never carried out', async () => {
    const { changes, told, nextTold } = queue(0.01);
    const stuck = deferred<void>();
    let wasRun = false;
    const first = changes.run('add VF a', () => stuck.promise);
    const second = changes.run('remove VF b', async () => {
      wasRun = true;
    });
    await expect(first).rejects.toThrow('add VF a');
    await expect(second).rejects.toMatchObject({ code: 'HEDDLE_CHANGE_OVERDUE' });
    const ended = nextTold();
    stuck.resolve();
    await ended;
    await changes.run('change VF c', async () => undefined); // the queue continues
    expect(wasRun).toBe(false);
    expect(told).toHaveLength(2);
  });

  it('are refused once the NIC closes, including those that wait', async () => {
    const { changes } = queue();
    const first = deferred<void>();
    const begun = deferred<void>();
    const running = changes.run('a', () => {
      begun.resolve();
      return first.promise;
    });
    const waiting = expect(changes.run('b', async () => undefined)).rejects;
    await begun.promise;
    let closes = 0;
    const close = async () => {
      closes += 1;
    };
    const closing = changes.close(close);
    const again = changes.close(close);
    await expect(changes.run('c', async () => undefined)).rejects.toMatchObject({
      code: 'HEDDLE_NIC_CLOSED',
    });
    first.resolve();
    await waiting.toMatchObject({ code: 'HEDDLE_NIC_CLOSED' });
    await running;
    await Promise.all([closing, again]);
    expect(closes).toBe(1);
  });

  it('that are stuck do not keep a NIC from closing', async () => {
    const { changes } = queue(0.01);
    const begun = deferred<void>();
    const change = changes.run('a', () => {
      begun.resolve();
      return new Promise<void>(() => {});
    });
    await begun.promise;
    let isClosed = false;
    const closing = changes.close(async () => {
      isClosed = true;
    });
    await expect(change).rejects.toMatchObject({ code: 'HEDDLE_CHANGE_OVERDUE' });
    await closing;
    expect(isClosed).toBe(true);
  });
});
