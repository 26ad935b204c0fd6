// The `heddle` command in a process, as its users run it. Node 20 cannot run TypeScript, so this is
// the built command: run `npm run build` first.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { inTime } from './wait-until.ts';

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

  /** Waits until stdout matches. Throws if the command ends first or takes too long. */
  async said(pattern: RegExp): Promise<void> {
    const state = (): object => ({ pattern: `${pattern}`, out: this.stdout, err: this.stderr });
    const saying = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this.stdout)) resolve();
      };
      this.process.stdout?.on('data', look);
      look();
    });
    await inTime(Promise.race([saying, this.#exit]), state);
    if (!pattern.test(this.stdout)) throw new Error(`it ended: ${JSON.stringify(state())}`);
  }

  async stop(signal: NodeJS.Signals): Promise<{ code: number | NodeJS.Signals; seconds: number }> {
    const start = performance.now();
    this.process.kill(signal);
    const code = await this.#exit;
    return { code, seconds: (performance.now() - start) / 1000 };
  }
}
