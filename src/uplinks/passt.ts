import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { inBackground } from '../background.ts';
import { operatorError } from '../errors.ts';
import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import { nextConnection } from '../wires/stream-wire.ts';
import { plainCapabilities } from './stream.ts';
import type { SourceListener, SourceState, UplinkSource } from './uplink.ts';

/** A passt that cannot run ends within this time. */
const START_MILLISECONDS = 300;
const RETRY_MILLISECONDS_MIN = 200;
const RETRY_MILLISECONDS_MAX = 5000;
const STOP_MILLISECONDS = 1000;
/** Where the child finds its end of the socket pair. */
const CHILD_FD = 3;
const COMPLAINT_LENGTH_MAX = 500;
const VERSION_MILLISECONDS = 1000;

/** Words that make it pleasanter, and that a passt older or newer than ours may not know. */
const DISPENSABLE = ['--quiet', '--stderr'];
/** As getopt_long of the C library says it, glibc's or musl's. */
const UNKNOWN_OPTION = /unrecognized option:? '?(?:--)?([\w-]+)/;

export interface PasstOptions {
  program: string;
  mtu: number;
  /** Further words for passt: addresses, ports to forward. */
  arguments: readonly string[];
}

/**
 * passt as a child: the guest's packets become the sockets of an ordinary user, so that it reaches
 * what this process reaches, with no rights at all. DHCP, NDP and DNS are passt's own. The two hold
 * the ends of a socket pair: whoever ends, ends the other, even by SIGKILL, and no path is left
 * behind.
 */
export class PasstSource implements UplinkSource {
  readonly #options: PasstOptions;
  #listener: SourceListener | null = null;
  #child: ChildProcess | null = null;
  /** Settles when the child has ended, if it ever began. */
  #childEnd: Promise<void> = Promise.resolve();
  #fd = -1;
  #isUp = false;
  #complaint = '';
  #retry: NodeJS.Timeout | null = null;
  #delay = RETRY_MILLISECONDS_MIN;
  #dispensable: readonly string[] = DISPENSABLE;
  #version: string | undefined;

  constructor(options: PasstOptions) {
    this.#options = options;
  }

  async start(listener: SourceListener): Promise<void> {
    const { program } = this.#options;
    const version = askVersion(program);
    let failure = await this.#launch();
    while (failure !== null && this.#dispenseWith(unknownOption(this.#complaint))) {
      this.#closeSocket();
      failure = await this.#launch();
    }
    this.#version = await version;
    if (failure !== null) {
      this.#closeSocket();
      throw this.#explain(failure);
    }
    this.#listener = listener;
    this.#up();
  }

  /** The stream broke: whatever passt is doing, it starts over. */
  save(): SourceState {
    return { fd: this.#fd, isUp: this.#isUp };
  }

  lose(reason: string): void {
    this.#down(reason);
  }

  release(): void {
    if (this.#isUp || this.#listener === null) return;
    this.#closeSocket();
    this.#child?.kill('SIGKILL');
    this.#retry ??= setTimeout(
      () => inBackground('start passt again', this.#relaunch()),
      this.#delay,
    );
    this.#delay = Math.min(this.#delay * 2, RETRY_MILLISECONDS_MAX);
  }

  async stop(): Promise<void> {
    this.#listener = null;
    this.#isUp = false;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#closeSocket(); // which ends it
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MILLISECONDS);
    await this.#childEnd;
    clearTimeout(force);
  }

  async #relaunch(): Promise<void> {
    this.#retry = null;
    if (this.#listener === null) return;
    const failure = await this.#launch();
    if (this.#listener === null) return;
    if (failure === null) this.#up();
    else this.release();
  }

  /** Whether there is a word less to try it with. */
  #dispenseWith(option: string | null): boolean {
    const left = this.#dispensable.filter((word) => word !== option);
    const isLess = left.length < this.#dispensable.length;
    this.#dispensable = left;
    return isLess;
  }

  #explain(failure: string): Error {
    const { program } = this.#options;
    if (failure === 'ENOENT') return operatorError('HEDDLE_PASST_MISSING', { program });
    const option = unknownOption(this.#complaint);
    // One of the user's own words may be the one that is not known.
    if (option === null || !this.#needed().includes(option)) {
      return operatorError('HEDDLE_PASST_FAILED', { reason: failure, program });
    }
    const version = this.#version ?? program;
    return operatorError('HEDDLE_PASST_VERSION', { option, version });
  }

  #needed(): string[] {
    return ['--foreground', '--fd', `${CHILD_FD}`, '--mtu', `${this.#options.mtu}`];
  }

  /** Starts passt. Resolves with null once it runs, or with why it does not. */
  #launch(): Promise<string | null> {
    const { program, arguments: words } = this.#options;
    const [ours, theirs] = createSocketPair();
    this.#fd = ours;
    this.#complaint = '';
    const fixed = [...this.#needed(), ...this.#dispensable];
    const child = spawn(program, [...fixed, ...words], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
    });
    this.#child = child;
    // Noted from the start: it may have ended long before anybody waits for that.
    this.#childEnd = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    c.close(theirs);
    child.stderr?.on('data', (data: Buffer) => {
      this.#complaint = (this.#complaint + data.toString()).slice(-COMPLAINT_LENGTH_MAX);
    });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), START_MILLISECONDS);
      const settle = (failure: string): void => {
        clearTimeout(timer);
        if (this.#child === child) this.#child = null;
        resolve(failure);
      };
      child.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      // Not `exit`: what it complained of may come after that.
      child.once('close', (code, signal) => {
        const how = signal ?? `exit code ${code}`;
        const reason = [`passt ended (${how})`, lastLine(this.#complaint)]
          .filter(Boolean)
          .join(': ');
        settle(reason);
        if (this.#fd === ours) this.#down(reason);
      });
    });
  }

  #up(): void {
    if (this.#child === null) return; // it has just ended, and been reported
    this.#isUp = true;
    this.#delay = RETRY_MILLISECONDS_MIN;
    const plain = plainCapabilities(this.#options.mtu, 64);
    const capabilities = this.#version === undefined ? plain : { ...plain, mode: this.#version };
    const settings = [{ kind: 'stream', fd: this.#fd, connection: nextConnection() }] as const;
    this.#listener?.onUp({ capabilities, settings });
  }

  #down(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  #closeSocket(): void {
    closeFd(this.#fd);
    this.#fd = -1;
  }
}

/** What it said last, without what it says about the system log. */
function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '' && !/syslog/.test(line));
  return lines.at(-1)?.trim() ?? '';
}

/** The option that a passt of another version complained about, or null. */
function unknownOption(complaint: string): string | null {
  const [, name] = UNKNOWN_OPTION.exec(complaint) ?? [];
  return name === undefined ? null : `--${name}`;
}

/** Such as `passt 0.0~git20230309.7c7625d`; undefined if it does not say. */
function askVersion(program: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: VERSION_MILLISECONDS };
    execFile(program, ['--version'], options, (_error, output) => {
      const line = output.split('\n')[0]?.trim() ?? '';
      resolve(/^passt\b/.test(line) ? line : undefined);
    });
  });
}
