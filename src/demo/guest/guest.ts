// A real Linux machine under QEMU, attached to one VF. It needs no KVM, no root and no disk.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { cpuSecondsOf } from '../../os/cpu-time.ts';
import { CommandChannel, type CommandResult } from './command-channel.ts';
import { ConsoleLog } from './console-log.ts';
import { guestImage } from './image.ts';
import { findKernel } from './kernel.ts';
import type { GuestOptions } from './options.ts';
import { commandFd, consoleFd, qemuArguments } from './qemu-arguments.ts';
import { findProgram, missingForGuests } from './requirements.ts';

const bootSeconds = 60;
const exitSeconds = 3;

export class Guest {
  readonly name: string;
  readonly options: GuestOptions;
  readonly console = new ConsoleLog();
  #qemu: ChildProcess;
  #channel: CommandChannel;
  #hasExited = false;
  #failure: Error | undefined;
  #exit: Promise<void>;
  #onFailure = new Set<(error: Error) => void>();

  /** Starts QEMU; `booted()` waits for the guest. */
  constructor(options: GuestOptions) {
    const kernel = findKernel();
    const missing = missingForGuests();
    if (kernel === undefined || missing.length > 0) {
      throw new Error(`Cannot start a Linux guest: missing ${missing.join(', ')}`);
    }
    this.name = options.name;
    this.options = options;
    this.#qemu = spawnBound(
      'qemu-system-x86_64',
      qemuArguments(options, kernel, guestImage(kernel)),
    );
    this.#channel = new CommandChannel(this.#qemu.stdio[commandFd] as Duplex);
    this.console.listen(this.#qemu.stdio[consoleFd] as Duplex);
    this.console.listen(this.#qemu.stderr);
    this.console.on('panic', () => this.#fail('its kernel panicked'));
    this.#exit = new Promise((resolve) => {
      this.#qemu.once('error', (error) => this.#fail(error.message));
      this.#qemu.once('close', (code, signal) => {
        this.#hasExited = true;
        this.#fail(`QEMU ended (${signal ?? `exit code ${code}`})`);
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#qemu.pid;
  }

  /** Resolves when the guest's init has configured the network and accepts commands. */
  booted(timeoutSeconds = bootSeconds): Promise<void> {
    return this.#withDeadline('boot', timeoutSeconds, (resolve) => {
      this.#channel.once('ready', () => resolve());
    });
  }

  /** Runs a shell script in the guest, whatever its exit code. */
  attempt(script: string, timeoutSeconds = 60): Promise<CommandResult> {
    // The guest enforces the time limit itself, to be free for the next command.
    return this.#withDeadline(`answer to "${script}"`, timeoutSeconds + 10, (resolve, reject) => {
      this.#channel.send(script, timeoutSeconds).then(resolve, reject);
    });
  }

  /** Runs a shell script in the guest and returns its output. Rejects unless the exit code is 0. */
  async run(script: string, timeoutSeconds = 60): Promise<string> {
    const { exitCode, output } = await this.attempt(script, timeoutSeconds);
    if (exitCode === 0) return output;
    throw new Error(`${this.name}: "${script}" ended with exit code ${exitCode}:\n${output}`);
  }

  /** Restarts the guest's kernel, as `reboot` does, and waits until it has booted. */
  async reboot(): Promise<void> {
    const isBack = this.booted();
    // There is no answer to this command: the guest restarts first.
    this.#channel.send('reboot -f', 5).catch(() => {});
    await isBack;
    this.#channel.abandon(new Error(`${this.name} was restarted`));
  }

  /** Powers the machine off. Never rejects. */
  async close(): Promise<void> {
    if (!this.#hasExited && this.#qemu.pid !== undefined) {
      this.#qemu.kill('SIGTERM');
      const force = setTimeout(() => this.#qemu.kill('SIGKILL'), exitSeconds * 1000);
      await this.#exit;
      clearTimeout(force);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Settles as `start` decides; rejects when the machine fails or the time is up. */
  #withDeadline<T>(
    what: string,
    seconds: number,
    start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const settle = (): void => {
        clearTimeout(timer);
        this.#onFailure.delete(fail);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const before = this.#cpuSeconds();
      const timer = setTimeout(() => {
        // Tells a guest that waits from one that loops.
        const used = (this.#cpuSeconds() - before).toFixed(1);
        const reason = `no ${what} within ${seconds} s, in which QEMU used ${used} s of CPU time`;
        fail(this.#describe(reason));
      }, seconds * 1000);
      this.#onFailure.add(fail);
      start((value) => {
        settle();
        resolve(value);
      }, fail);
    });
  }

  #cpuSeconds(): number {
    return this.#hasExited || this.#qemu.pid === undefined ? 0 : cpuSecondsOf(this.#qemu.pid);
  }

  #fail(reason: string): void {
    this.#failure ??= this.#describe(reason);
    for (const tell of [...this.#onFailure]) tell(this.#failure);
    this.#channel.abandon(this.#failure);
  }

  #describe(reason: string): Error {
    return new Error(
      `Guest ${this.name}: ${reason}. The end of its console:\n${this.console.tail()}`,
    );
  }
}

/** A child that ends with this process, even if this process is killed. */
function spawnBound(program: string, args: readonly string[]): ChildProcess {
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const;
  const path = findProgram(program) ?? program;
  const binder = findProgram('setpriv');
  if (binder === undefined) return spawn(path, args, { stdio: [...stdio] });
  return spawn(binder, ['--pdeathsig', 'KILL', path, ...args], { stdio: [...stdio] });
}
