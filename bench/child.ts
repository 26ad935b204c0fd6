// A child process of the harness: pinned to a core, its output recorded, stopped by its pid.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf } from '../src/os/cpu-time.ts';
import { releaseAtExit } from './resources.ts';

/** Lines of a child's output that a failure shows. */
const tailLines = 25;
const stopSeconds = 5;

export interface ChildOptions {
  /** The cores it may use; all if omitted. */
  readonly cores?: string;
  readonly env?: NodeJS.ProcessEnv;
}

interface Waiter {
  check(): void;
  fail(error: Error): void;
}

export class Child {
  readonly name: string;
  /** Everything it printed on both streams. */
  output = '';
  /** Its standard output alone: output on the other stream may split a line in two. */
  printed = '';
  readonly #process: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  readonly #forget: () => void;
  #ending: string | null = null;

  constructor(name: string, command: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = name;
    // Each wrapper replaces itself by the next, so the pid is that of the command. setpriv: the
    // child ends with the harness, even if that is killed by SIGKILL. stdbuf: on a pipe, C's stdout
    // is block-buffered, and we wait for lines.
    const pin = options.cores === undefined ? [] : ['taskset', '-c', options.cores];
    const wrapped = ['--pdeathsig', 'KILL', '--', ...pin, 'stdbuf', '-oL', command, ...args];
    this.#process = spawn('setpriv', wrapped, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', ...options.env },
    });
    const append = (text: string) => {
      this.output += text;
      for (const waiter of [...this.#waiters]) waiter.check();
    };
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.printed += text;
      append(text);
    });
    this.#process.stderr?.setEncoding('utf8').on('data', append);
    // A write to a child that has just died; its end is reported below.
    this.#process.stdin?.on('error', () => {});
    this.#process.on('error', (error) => this.#end(error.message));
    const end = (code: number | null, signal: string | null) =>
      this.#end(`ended by itself: ${signal ?? `exit code ${code}`}`);
    this.#process.on('close', end);
    this.#forget = releaseAtExit(() => this.#process.kill('SIGKILL'));
  }

  get pid(): number {
    const { pid } = this.#process;
    if (pid === undefined) throw this.failure('did not start');
    return pid;
  }

  get hasEnded(): boolean {
    return this.#ending !== null;
  }

  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Resolves with the offset after the first match from `from` on, in `output` or `printed`. */
  waitFor(
    pattern: RegExp,
    from: number,
    timeoutSeconds: number,
    stream: 'output' | 'printed' = 'output',
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        check: () => {
          const found = pattern.exec(this[stream].slice(from));
          if (found === null) return;
          finish();
          resolve(from + found.index + found[0].length);
        },
        fail: (error) => {
          finish();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        const seconds = `${timeoutSeconds} s`;
        waiter.fail(this.failure(`did not print ${pattern} within ${seconds}`));
      }, timeoutSeconds * 1000);
      this.#waiters.add(waiter);
      waiter.check();
      if (this.#ending !== null && this.#waiters.has(waiter)) {
        waiter.fail(this.failure(this.#ending));
      }
    });
  }

  /** CPU time of all its threads since it started. */
  cpuSeconds(): number {
    if (this.#ending !== null) throw this.failure(this.#ending);
    return cpuSecondsOf(this.pid);
  }

  async stop(): Promise<void> {
    if (!this.hasEnded) {
      const closed = once(this.#process, 'close');
      this.#process.kill('SIGTERM');
      const patience = new AbortController();
      const expiry = sleep(stopSeconds * 1000, undefined, { signal: patience.signal });
      expiry.then(() => this.#process.kill('SIGKILL')).catch(() => {});
      await closed;
      patience.abort();
    }
    this.#forget();
  }

  /** Resolves when it has ended by itself; stops it if that takes too long. */
  async finish(timeoutSeconds: number): Promise<void> {
    const end = Date.now() + timeoutSeconds * 1000;
    while (!this.hasEnded && Date.now() < end) await sleep(10);
    await this.stop();
  }

  failure(what: string): Error {
    return new Error(`${this.name} ${what}\n${this.tail()}`);
  }

  tail(): string {
    const lines = this.output.trimEnd().split('\n').slice(-tailLines);
    return [`--- last output of ${this.name}`, ...lines, '---'].join('\n');
  }

  #end(how: string): void {
    if (this.#ending !== null) return;
    this.#ending = how;
    for (const waiter of [...this.#waiters]) {
      waiter.check();
      if (this.#waiters.has(waiter)) waiter.fail(this.failure(how));
    }
  }
}
