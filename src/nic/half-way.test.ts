import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { TestNic } from '../../test/support/test-nic.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { reportFailure } from '../background.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { mappingBudget } from '../processor/budgets.ts';
import { ProcessorSet } from '../processor/processor-set.ts';
import { createNic, restoreNic } from './nic.ts';

// A NIC that cannot be created leaves nothing behind in its process.

let directory: string;
let before: { fds: number; mappings: number };

beforeAll(async () => {
  // Some descriptors are opened once per process.
  await (await TestNic.start()).close();
  // The last poller closes its own descriptors after it has woken up.
  for (let last = -1; openFdCount() !== last; await sleep(100)) last = openFdCount();
});

const held = () => ({ fds: openFdCount(), mappings: mappingBudget().left });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-half-'));
  before = held();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await waitUntil(
    () => JSON.stringify(held()) === JSON.stringify(before),
    () => ({ before, now: held() }),
  );
  rmSync(directory, { recursive: true });
});

/** A failure to which no NIC listens becomes a warning of the process. */
function expectNoListener(): void {
  const warn = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
  reportFailure('do it', new Error('no'));
  expect(warn).toHaveBeenCalledOnce();
}

function config() {
  return { name: 'half', vfs: [{ name: 'vf0', socket: join(directory, 'vf.sock') }] };
}

it('a NIC whose predecessor’s shared state has another size leaves nothing behind', async () => {
  const nic = await createNic(config());
  const state = await nic.handOver();
  const sharedFd = createMemoryFile('small', 4096);
  await expect(restoreNic({ ...state, sharedFd })).rejects.toThrow('shared state of 4096 bytes');
  c.close(sharedFd);
  expectNoListener();
  await (await restoreNic(state)).close();
});

it('a NIC whose predecessor’s shared state cannot be mapped leaves nothing behind', async () => {
  const nic = await createNic(config());
  const state = await nic.handOver();
  const restoring = restoreNic({ ...state, sharedFd: 99_999 });
  await expect(restoring).rejects.toThrow('mmap failed: EBADF');
  expectNoListener();
  const next = await restoreNic(state);
  expect(next.vfs()).toHaveLength(1);
  await next.close();
});

it('a NIC without memory for its shared state leaves nothing behind', async () => {
  const map = vi.spyOn(c, 'mmap').mockImplementationOnce(() => c.close(-1));
  await expect(createNic(config())).rejects.toThrow('mmap failed');
  map.mockRestore();
  expectNoListener();
});

it.each(['epollCreate', 'eventfd', 'epollControl'] as const)(
  'a NIC whose poller fails to start leaves nothing behind: %s',
  async (call) => {
    vi.spyOn(c, call).mockImplementationOnce(() => c.close(-1));
    await expect(createNic(config())).rejects.toThrow('failed: EBADF');
    expectNoListener();
  },
);

it('a NIC whose processors cannot start leaves nothing behind', async () => {
  vi.spyOn(ProcessorSet.prototype, 'start').mockRejectedValueOnce(new Error('no thread'));
  await expect(createNic(config())).rejects.toThrow('no thread');
  expectNoListener();
});

it('a NIC with a socket in use leaves nothing behind, not even its other sockets', async () => {
  const first = await createNic(config());
  const socket = join(directory, 'rng.sock');
  const creating = createNic({ ...config(), rngs: [{ name: 'rng0', socket }] });
  await expect(creating).rejects.toMatchObject({ code: 'HEDDLE_SOCKET_IN_USE' });
  expect(existsSync(socket)).toBe(false);
  await first.close();
  expectNoListener();
});
