import { type ChildProcess, spawn } from 'node:child_process';
import { operatorError } from '../errors.ts';
import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import { plainCapabilities } from './stream.ts';
import { nextConnection } from './stream-wire.ts';
import type { SourceListener, UplinkSource } from './uplink.ts';

/** A passt that cannot run ends within this time. */
const START_MILLISECONDS = 300;
const RETRY_MILLISECONDS_MIN = 200;
const RETRY_MILLISECONDS_MAX = 5000;
const STOP_MILLISECONDS = 1000;
/** Where the child finds its end of the socket pair. */
const CHILD_FD = 3;
const COMPLAINT_LENGTH_MAX = 500;

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
  #fd = -1;
  #isUp = false;
  #complaint = '';
  #retry: NodeJS.Timeout | null = null;
  #delay = RETRY_MILLISECONDS_MIN;

  constructor(options: PasstOptions) {
    this.#options = options;
  }

  async start(listener: SourceListener): Promise<void> {
    const { program } = this.#options;
    const failure = await this.#launch();
    if (failure !== null) {
      this.#closeSocket();
      if (failure === 'ENOENT') throw operatorError('HEDDLE_PASST_MISSING', { program });
      throw operatorError('HEDDLE_PASST_FAILED', { reason: failure, program });
    }
    this.#listener = listener;
    this.#up();
  }

  /** The stream broke: whatever passt is doing, it starts over. */
  lose(reason: string): void {
    this.#down(reason);
  }

  release(): void {
    if (this.#isUp || this.#listener === null) return;
    this.#closeSocket();
    this.#child?.kill('SIGKILL');
    this.#retry ??= setTimeout(() => void this.#relaunch(), this.#delay);
    this.#delay = Math.min(this.#delay * 2, RETRY_MILLISECONDS_MAX);
  }

  async stop(): Promise<void> {
    this.#listener = null;
    this.#isUp = false;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#closeSocket(); // which ends it
    const child = this.#child;
    if (child === null) return;
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MILLISECONDS);
      child.once('exit', () => {
        clearTimeout(force);
        resolve();
      });
      child.kill('SIGTERM');
    });
  }

  async #relaunch(): Promise<void> {
    this.#retry = null;
    if (this.#listener === null) return;
    const failure = await this.#launch();
    if (this.#listener === null) return;
    if (failure === null) this.#up();
    else this.release();
  }

  /** Starts passt. Resolves with null once it runs, or with why it does not. */
  #launch(): Promise<string | null> {
    const { program, mtu, arguments: words } = this.#options;
    const [ours, theirs] = createSocketPair();
    this.#fd = ours;
    this.#complaint = '';
    const fixed = ['--foreground', '--quiet', '--stderr', '--fd', `${CHILD_FD}`, '--mtu', `${mtu}`];
    const child = spawn(program, [...fixed, ...words], {
      stdio: ['ignore', 'ignore', 'pipe', theirs],
    });
    this.#child = child;
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
      child.once('exit', (code, signal) => {
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
    const capabilities = plainCapabilities(this.#options.mtu, 64);
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
