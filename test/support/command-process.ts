// Test support: the `heddle` command as its users run it, a process of its own. Node 20 runs no
// TypeScript, so the sources are compiled first, to a place where `node_modules` is found.

import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = `${root}node_modules/.cache/heddle-cli-test`;

/** The real command; only `up` needs more than what is compiled here. */
export const mainScript = `${built}/src/cli/main.js`;

/**
 * The command with a NIC that moves no frames. SIGUSR2 makes it report two events; with FAKE_FAILS
 * two mistakes come before them that nobody catches.
 */
export const fakeScript = `${built}/fake-main.js`;

const fakeSource = `
import { FakeNic } from './test/support/fake-nic.js';
import { run } from './src/cli/program.js';
const createNic = async (config) => {
  if (process.env.FAKE_WAITS) {
    process.stdout.write('starting\\n');
    const alive = setInterval(() => undefined, 1000);
    await new Promise((resolve) => process.once('SIGHUP', resolve));
    clearInterval(alive);
  }
  const nic = new FakeNic(config);
  if (process.env.FAKE_HANGS) nic.close = () => new Promise(() => {});
  process.on('SIGUSR2', () => {
    if (process.env.FAKE_FAILS) {
      setImmediate(() => {
        throw new Error('thrown where nobody catches');
      });
      Promise.reject(new Error('rejected where nobody catches'));
    }
    nic.emit('connect', { vf: 'vm1' });
    nic.emit('fault', { vf: 'vm1', queue: 1, reason: 'chain-length' });
  });
  return nic;
};
process.exitCode = await run(process.argv.slice(2), { createNic });
`;

/** Type errors don't matter here (tsc emits all the same); they have a check of their own. */
export function compileCommand(): void {
  const tsc = `${root}node_modules/typescript/bin/tsc`;
  const words = [tsc, '-p', `${root}tsconfig.build.json`, '--outDir', built];
  const { status, error } = spawnSync(process.execPath, words, { cwd: root });
  if (status === null) throw error ?? new Error('tsc was killed');
  mkdirSync(built, { recursive: true });
  writeFileSync(fakeScript, fakeSource);
}

export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the command to its end. */
export function heddle(
  words: readonly string[],
  env: Record<string, string> = {},
  script = mainScript,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 30_000 };
    execFile(process.execPath, [script, ...words], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}

/** A command that goes on until it is told to stop. */
export class RunningCommand {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #exit: Promise<number | NodeJS.Signals>;

  constructor(words: readonly string[], env: Record<string, string> = {}, script = fakeScript) {
    this.process = spawn(process.execPath, [script, ...words], { env: { ...process.env, ...env } });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#exit = new Promise((resolve) => {
      this.process.once('close', (code, signal) => resolve(code ?? signal ?? -1));
    });
  }

  /** Waits for what stdout must say; an early end or 20 s without it is an error. */
  async said(pattern: RegExp): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!pattern.test(this.stdout)) {
      if (this.process.exitCode !== null || Date.now() > deadline) {
        throw new Error(`no ${pattern} in: ${this.stdout}\n${this.stderr}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(signal: NodeJS.Signals): Promise<{ code: number | NodeJS.Signals; seconds: number }> {
    const start = performance.now();
    this.process.kill(signal);
    const code = await this.#exit;
    return { code, seconds: (performance.now() - start) / 1000 };
  }
}
