import { existsSync, fstatSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { restoreNic } from '../../src/nic/nic.ts';
import type { NicState } from '../../src/nic/types.ts';
import { Processor } from '../../src/processor/processor.ts';
import { descriptorsIn } from '../../src/state/saved.ts';

/** Time for whatever a NIC might do too early with what it has taken over. */
const PAUSE_MILLISECONDS = 100;

/**
 * Two attempts that fail: one among its VFs, when it has already taken over the uplinks, and one
 * whose processors run for a while. Throws if one of them changes what the state names.
 */
export async function failToRestore(state: NicState): Promise<void> {
  await expectFailure({ ...state, vfs: [...state.vfs, ...state.vfs] }, 'are taken');
  const { started } = Processor.prototype;
  Processor.prototype.started = async function (this: Processor) {
    await started.call(this);
    await sleep(PAUSE_MILLISECONDS);
    throw new Error('no thread');
  };
  try {
    await expectFailure(state, 'no thread');
  } finally {
    Processor.prototype.started = started;
  }
}

async function expectFailure(state: NicState, reason: string): Promise<void> {
  const before = namedIn(state);
  const message = await restoreNic(state).then(
    () => 'none',
    (error: Error) => error.message,
  );
  if (!message.includes(reason)) throw new Error(`another failure than "${reason}": ${message}`);
  const after = namedIn(state);
  const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
  if (changed.length > 0) throw new Error(`an attempt that failed changed ${changed.join(', ')}`);
}

/** The files behind the descriptors of a state, and which of its paths exist. */
function namedIn(state: NicState): Record<string, string> {
  const paths = [...JSON.stringify(state, plain).matchAll(/"(\/[^"]+)"/g)].map(([, path]) => path);
  return Object.fromEntries([
    ...descriptorsIn(state).map((fd) => [`descriptor ${fd}`, fileOf(fd)]),
    ...paths.map((path) => [path, String(existsSync(path ?? ''))]),
  ]);
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

function fileOf(fd: number): string {
  try {
    const { dev, ino } = fstatSync(fd);
    // All eventfds have the same inode.
    const [eventFd = ''] =
      /eventfd-id:.*/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? [];
    return `${dev}:${ino} ${eventFd}`;
  } catch {
    return 'closed';
  }
}
