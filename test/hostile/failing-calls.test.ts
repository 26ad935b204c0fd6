import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { onFailure } from '../../src/background.ts';
import { c } from '../../src/os/libc.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { TestNic } from '../support/test-nic.ts';

// The kernel refuses the n-th call during a change, for each n. The change fails with an error,
// everything that it opened is closed, and no other function is affected.

const CALLS = ['socket', 'eventfd', 'epollControl', 'memfdCreate', 'ftruncate', 'mmap'] as const;
const NAMES: Readonly<Record<(typeof CALLS)[number], RegExp>> = {
  socket: /socket|Cannot listen on/i,
  eventfd: /eventfd/,
  epollControl: /epoll_ctl/,
  memfdCreate: /memfd_create/,
  ftruncate: /ftruncate/,
  mmap: /mmap/,
};

let lab: TestNic;
let guests: MockGuest[];
const failures: string[] = [];
const stopListening = onFailure(({ what, error }) => failures.push(`${what}: ${error.message}`));

beforeAll(async () => {
  lab = await TestNic.start({ vfs: 2 });
  guests = [await lab.connect(0), await lab.connect(1)];
});

afterAll(async () => {
  stopListening();
  await lab.finish();
});

/** Makes the n-th call fail; returns the number of calls. */
async function failing(
  name: (typeof CALLS)[number],
  n: number,
  work: () => Promise<unknown>,
): Promise<{ count: number; error: Error | null }> {
  const real = c[name] as (...args: unknown[]) => number;
  let count = 0;
  const spy = vi.spyOn(c, name).mockImplementation((...args: unknown[]) => {
    count += 1;
    return count === n ? c.close(-1) : real(...args); // −1, with an errno
  });
  try {
    await work();
    return { count, error: null };
  } catch (error) {
    return { count, error: error as Error };
  } finally {
    spy.mockRestore();
  }
}

async function pass(): Promise<void> {
  const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 200);
  guests[0]?.send(frame);
  expect(Buffer.from((await guests[1]?.nextFrame()) ?? [])).toEqual(Buffer.from(frame));
}

interface Change {
  add(): Promise<unknown>;
  remove(): Promise<void>;
}

const path = (name: string) => join(lab.directory, name);

const CHANGES: Readonly<Record<string, Change>> = {
  'a new VF': {
    add: () => lab.nic.addVf({ name: 'late', socket: path('late.sock') }),
    remove: () => lab.nic.removeVf('late'),
  },
  'a loopback': {
    add: () => lab.nic.addUplink({ name: 'late', type: 'loopback' }),
    remove: () => lab.nic.removeUplink('late'),
  },
  'a stream': {
    add: () => lab.nic.addUplink({ name: 'late', type: 'stream', socket: path('stream') }),
    remove: () => lab.nic.removeUplink('late'),
  },
  datagrams: {
    add: () =>
      lab.nic.addUplink({ name: 'late', type: 'dgram', socket: path('a'), peer: path('b') }),
    remove: () => lab.nic.removeUplink('late'),
  },
};

describe.each(Object.entries(CHANGES))('%s', (_, change) => {
  it.each(CALLS)('leaves nothing behind and disturbs no guest if %s fails', async (name) => {
    for (let n = 1; ; n++) {
      const before = openFdCount();
      const { count, error } = await failing(name, n, change.add);
      const state = `${name} ${n}: ${error?.message ?? 'no error'}`;
      if (error !== null) expect(error.message, state).toMatch(NAMES[name]);
      else await change.remove();
      expect(openFdCount(), state).toBe(before);
      expect(failures, state).toEqual([]);
      await pass();
      if (count < n) break; // there are fewer calls
    }
    await change.add(); // the failures left nothing in its way
    await change.remove();
  });
});
