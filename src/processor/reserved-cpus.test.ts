import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createNic, OperatorError } from '../index.ts';
import { cpusOf, keepOnCpus, THIS_THREAD, threadIds } from '../os/cpu-affinity.ts';

const allowed = cpusOf(THIS_THREAD);
const own = allowed.at(-1) ?? 0;
const others = allowed.slice(0, -1);

/** Number of threads of this process that may run on exactly these CPUs. */
function threadsOn(cpus: readonly number[]): number {
  return threadIds().filter((thread) => cpusOf(thread).join() === cpus.join()).length;
}

describe('a NIC that reserves a CPU for its processor', () => {
  let directory: string;
  const config = (processorCpus: number[]) => ({
    ...{ processors: processorCpus.length, processorCpus },
    vfs: [{ name: 'vm1', socket: join(directory, 'vm1.sock') }],
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'heddle-cpus-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('runs it there, and everything else elsewhere until the NIC is closed', async ({ skip }) => {
    skip(others.length === 0, 'this process may run on one CPU only');
    const nic = await createNic(config([own]));
    expect(nic.stats().processors.map(({ cpu }) => cpu)).toEqual([own]);
    expect(threadsOn([own])).toBe(1);
    expect(threadsOn(others)).toBe(threadIds().length - 1);
    await nic.close();
    expect(threadsOn(allowed)).toBe(threadIds().length);
  });

  test('shares the CPU with the rest of the process if there is no other', async () => {
    keepOnCpus(THIS_THREAD, [own]);
    const nic = await createNic(config([own]));
    expect(cpusOf(THIS_THREAD)).toEqual([own]);
    await nic.close();
    keepOnCpus(THIS_THREAD, allowed);
  });

  test('does not start if the machine lacks the CPU, and leaves all threads alone', async () => {
    const error = await createNic(config([own, 8191])).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OperatorError);
    expect(error).toMatchObject({ code: 'HEDDLE_CPU_NOT_AVAILABLE', status: 400 });
    expect((error as OperatorError).message).toContain('CPU 8191');
    expect(threadsOn(allowed)).toBe(threadIds().length);
  });

  test.each([
    [[own, own], 'must be a list of CPU numbers, each once: received'],
    [[-1], 'must be a whole number from 0 to 8191: received -1'],
  ])('refuses %j', async (cpus, message) => {
    await expect(createNic(config(cpus))).rejects.toThrow(message);
  });

  test('takes one CPU per processor or none, and cannot change them while it runs', async () => {
    const vfs = [{ name: 'vm1', socket: join(directory, 'vm1.sock') }];
    const wrong = createNic({ processors: 2, processorCpus: [own], vfs });
    await expect(wrong).rejects.toThrow(
      'processorCpus must be a list of 2 CPUs, one per processor ("processors"): received',
    );
    const nic = await createNic({ vfs });
    await expect(nic.apply({ processorCpus: [own], vfs })).rejects.toThrow(
      'Cannot change processorCpus of a running NIC',
    );
    await nic.close();
  });
});
