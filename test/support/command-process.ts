// The `heddle` command as its users run it, as a process. Node 20 cannot run TypeScript, so this is
// the built command: run `npm run build` first.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const mainScript = `${root}dist/src/cli/main.js`;

/** The command with a NIC that moves no frames: `fake-main.ts`. */
export const fakeScript = `${root}build/test/support/fake-main.js`;

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

/** A command that runs until it is stopped. */
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

  /** Waits until stdout matches. Throws after 20 s, or if the command ends before. */
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
