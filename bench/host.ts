// The machine of a run: figures mean nothing without it.

import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { run } from './commands.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const coresNeeded = 2;

export interface Host {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** Runnable tasks during the last minute before the run: shows whether the cores were busy. */
  readonly loadBefore: number;
  readonly commit: string;
  readonly date: string;
}

export function describeHost(): Host {
  const cores = cpus();
  return {
    processor: cores[0]?.model.trim() ?? 'unknown',
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    loadBefore: loadavg()[0] ?? 0,
    commit: describeCommit(),
    date: new Date().toISOString(),
  };
}

/** With both on one core, the scheduler would be measured. */
export function requireCores(): void {
  const cores = cpus().length;
  if (cores >= coresNeeded) return;
  throw new Error(`Cannot measure on ${cores} core: the switch and the generator need one each.`);
}

function describeCommit(): string {
  try {
    return run('git', ['-C', root, 'describe', '--always', '--dirty', '--abbrev=12']);
  } catch {
    return 'not a Git checkout';
  }
}
