import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { inBackground, later } from '../background.ts';
import { operatorError } from '../errors.ts';
import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import type { Poller } from '../os/poller.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import { ErrorOutput, type ErrorOutputState, openErrorOutput } from './error-output.ts';
import { nextGeneration } from './generations.ts';
import { plainCapabilities } from './stream.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from './uplink.ts';

/** A passt that cannot run ends within this time. */
const START_MILLISECONDS = 300;
const RETRY_MILLISECONDS_MIN = 200;
const RETRY_MILLISECONDS_MAX = 5000;
const STOP_MILLISECONDS = 1000;
/** The child's end of the socket pair. */
const CHILD_FD = 3;
const VERSION_MILLISECONDS = 1000;

/** Options that an older or newer passt may not know, and that are not essential. */
const DISPENSABLE = ['--quiet', '--stderr'];
/** The error of getopt_long, in glibc and musl. */
const UNKNOWN_OPTION = /unrecognized option:? '?(?:--)?([\w-]+)/;

export interface PasstOptions {
  program: string;
  mtu: number;
  /** Further arguments for passt: addresses, ports to forward. */
  arguments: readonly string[];
}

interface PasstState {
  fd: number;
  isUp: boolean;
  connection: number;
  version: string | undefined;
  errors: ErrorOutputState | null;
}

/**
 * passt as a child: the guest's packets become sockets of an ordinary user, so that it reaches what
 * this process reaches, without any rights. DHCP, NDP and DNS are passt's. Each process holds one
 * end of a socket pair: when one ends, even by SIGKILL, so does the other, and no socket file is
 * left behind.
 */
export class PasstSource implements UplinkSource {
  readonly #options: PasstOptions;
  readonly #poller: Poller;
  #listener: SourceListener | null = null;
  #child: ChildProcess | null = null;
  /** Resolves when the child has ended, or could not be started. */
  #childEnd: Promise<void> = Promise.resolve();
  /** Why the last child ended, or could not be started. */
  #ending: string | null = null;
  #fd = -1;
  #connection = 0;
  #isUp = false;
  /** Of the last child. */
  #errors: ErrorOutput | null = null;
  #retry: NodeJS.Timeout | null = null;
  #delay = RETRY_MILLISECONDS_MIN;
  #dispensable: readonly string[] = DISPENSABLE;
  #version: string | undefined;

  constructor(options: PasstOptions, poller: Poller) {
    this.#options = options;
    this.#poller = poller;
  }

  async start(listener: SourceListener): Promise<void> {
    const { program } = this.#options;
    const version = askVersion(program);
    let failure = await this.#launch();
    while (failure !== null && this.#dispenseWith(unknownOption(this.#complaint()))) {
      this.#leave();
      failure = await this.#launch();
    }
    this.#version = await version;
    if (this.#child === null) failure ??= this.#ending; // it has ended since
    if (failure !== null) {
      const error = this.#explain(failure);
      this.#leave();
      throw error;
    }
    this.#listener = listener;
    this.#up();
  }

  save(): PasstState {
    const [connection, version] = [this.#connection, this.#version];
    const errors = this.#errors?.save() ?? null;
    return { fd: this.#fd, isUp: this.#isUp, connection, version, errors };
  }

  /**
   * The predecessor started the child. All we have of it are the socket, which closes when it ends,
   * and its error output, which says why.
   */
  restore(listener: SourceListener, _file: PortFile, state: PasstState): Wires | null {
    this.#listener = listener;
    this.#fd = state.fd;
    this.#isUp = state.isUp;
    this.#connection = state.connection;
    this.#version = state.version;
    if (state.errors !== null) this.#errors = new ErrorOutput(this.#poller, state.errors);
    if (this.#isUp) return this.#wires();
    this.#poller.whenOpen(() => this.release()); // it was about to be started again
    return null;
  }

  handOver(): void {
    this.#listener = null;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#errors?.handOver();
  }

  /** The stream broke: passt is restarted, whatever its state. */
  lose(reason: string): void {
    this.#down(this.#withLastLine(reason));
  }

  release(): void {
    if (this.#isUp || this.#listener === null) return;
    this.#leave();
    this.#child?.kill('SIGKILL');
    this.#retry ??= later('start passt again', this.#delay, () =>
      inBackground('start passt again', this.#relaunch()),
    );
    this.#delay = Math.min(this.#delay * 2, RETRY_MILLISECONDS_MAX);
  }

  async stop(): Promise<void> {
    this.#listener = null;
    this.#isUp = false;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#leave(); // this ends passt
    const child = this.#child;
    if (child === null) return;
    child.kill('SIGTERM');
    const force = later('kill passt', STOP_MILLISECONDS, () => child.kill('SIGKILL'));
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

  /** Whether another try without that option makes sense. */
  #dispenseWith(option: string | null): boolean {
    const left = this.#dispensable.filter((word) => word !== option);
    const isLess = left.length < this.#dispensable.length;
    this.#dispensable = left;
    return isLess;
  }

  #explain(failure: string): Error {
    const { program } = this.#options;
    if (failure === 'ENOENT') return operatorError('HEDDLE_PASST_MISSING', { program });
    const option = unknownOption(this.#complaint());
    // Unless it is one of the user's own arguments.
    if (option === null || !this.#needed().includes(option)) {
      return operatorError('HEDDLE_PASST_FAILED', { reason: failure, program });
    }
    const version = this.#version ?? program;
    return operatorError('HEDDLE_PASST_VERSION', { option, version });
  }

  #needed(): string[] {
    return ['--foreground', '--fd', `${CHILD_FD}`, '--mtu', `${this.#options.mtu}`];
  }

  /** Starts passt. Resolves with null once it runs, or with the reason why it does not. */
  async #launch(): Promise<string | null> {
    const words = this.#options.arguments;
    const fixed = [...this.#needed(), ...this.#dispensable];
    let child: ChildProcess;
    try {
      child = this.#spawn([...fixed, ...words]);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return code ?? message; // most failures arrive as an event, but some are thrown
    }
    const ours = this.#fd;
    this.#child = child;
    // Registered at once: the child may end long before `stop` waits for it.
    this.#childEnd = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(null), START_MILLISECONDS);
      const settle = (failure: string): void => {
        clearTimeout(timer);
        if (this.#child === child) {
          this.#child = null;
          this.#ending = failure;
        }
        resolve(failure);
      };
      child.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      child.once('exit', (code, signal) => {
        const isLast = this.#child === child;
        const ended = `passt ended (${signal ?? `exit code ${code}`})`;
        const reason = isLast ? this.#withLastLine(ended) : ended;
        settle(reason);
        if (this.#fd === ours) this.#down(reason);
      });
    });
  }

  /** Keeps our ends of its stream and of its error output. */
  #spawn(words: readonly string[]): ChildProcess {
    const [ours, theirs] = createSocketPair();
    this.#fd = ours;
    let writer = -1;
    try {
      const errors = openErrorOutput(this.#poller);
      this.#errors = errors.output;
      writer = errors.writer;
      return spawn(this.#options.program, words, { stdio: ['ignore', 'ignore', writer, theirs] });
    } finally {
      closeFd(writer);
      c.close(theirs);
    }
  }

  #complaint(): string {
    return this.#errors?.latest() ?? '';
  }

  #withLastLine(reason: string): string {
    return [reason, lastLine(this.#complaint())].filter(Boolean).join(': ');
  }

  #up(): void {
    if (this.#child === null) return; // it has just ended, which was reported
    this.#isUp = true;
    this.#delay = RETRY_MILLISECONDS_MIN;
    this.#connection = nextGeneration();
    this.#listener?.onUp(this.#wires());
  }

  #wires(): Wires {
    const plain = plainCapabilities(this.#options.mtu, 64);
    const capabilities = this.#version === undefined ? plain : { ...plain, mode: this.#version };
    const wire = { kind: 'stream', fd: this.#fd, connection: this.#connection } as const;
    return { capabilities, settings: [wire] };
  }

  #down(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  #leave(): void {
    closeFd(this.#fd);
    this.#fd = -1;
    this.#errors?.close();
    this.#errors = null;
  }
}

/** The last line of the error output, except for lines about the system log. */
function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line !== '' && !/syslog/.test(line));
  return lines.at(-1)?.trim() ?? '';
}

/** The option that passt does not know, or null. */
function unknownOption(complaint: string): string | null {
  const [, name] = UNKNOWN_OPTION.exec(complaint) ?? [];
  return name === undefined ? null : `--${name}`;
}

/** Such as `passt 0.0~git20230309.7c7625d`; undefined if the output is unexpected. */
function askVersion(program: string): Promise<string | undefined> {
  return new Promise<string | undefined>((resolve) => {
    const child = execFile(program, ['--version'], (_error, output) => {
      clearTimeout(timer);
      const line = output.split('\n')[0]?.trim() ?? '';
      resolve(/^passt\b/.test(line) ? line : undefined);
    });
    const timer = later('give up the version of passt', VERSION_MILLISECONDS, () => {
      child.kill('SIGKILL');
      // A child of its own may still hold its output, and only the end of that is waited for.
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  }).catch(() => undefined); // if it cannot be started, that is reported by its launch
}
