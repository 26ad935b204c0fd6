// The host's end of the guest's command loop. `init-script.ts` has the protocol and the guest's
// end.

import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';

export interface CommandResult {
  readonly exitCode: number;
  /** What the command wrote to its standard output and error. */
  readonly output: string;
}

interface Waiter {
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: Error) => void;
}

interface ChannelEvents {
  ready: [kernelVersion: string];
}

/** The guest runs one command at a time; later ones wait in the serial port. */
export class CommandChannel extends EventEmitter<ChannelEvents> {
  #stream: Duplex;
  #waiters = new Map<number, Waiter>();
  #nextId = 1;
  #unfinishedLine = '';

  constructor(stream: Duplex) {
    super();
    this.#stream = stream;
    stream.setEncoding('latin1');
    stream.on('data', (text: string) => this.#take(text));
    stream.on('error', () => {}); // The exit of QEMU is reported instead.
  }

  send(script: string, timeoutSeconds: number): Promise<CommandResult> {
    const id = this.#nextId++;
    const encoded = Buffer.from(script).toString('base64');
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#stream.write(`${id} ${timeoutSeconds} ${encoded}\n`);
    });
  }

  /** No answer will come: the guest stopped or restarted. */
  abandon(reason: Error): void {
    const waiters = [...this.#waiters.values()];
    this.#waiters.clear();
    for (const { reject } of waiters) reject(reason);
  }

  #take(text: string): void {
    const lines = (this.#unfinishedLine + text).split('\n');
    this.#unfinishedLine = lines.pop() ?? '';
    for (const line of lines) this.#takeLine(line.trim());
  }

  #takeLine(line: string): void {
    const [verb, ...words] = line.split(' ');
    if (verb === 'ready') this.emit('ready', words[0] ?? '');
    if (verb !== 'done') return; // Output of the firmware, or before raw mode.
    const id = Number(words[0]);
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    const output = Buffer.from(words[2] ?? '', 'base64').toString();
    if (waiter !== undefined) waiter.resolve({ exitCode: Number(words[1]), output });
    // The guest misread a command, which would otherwise wait until its timeout.
    else this.abandon(new Error(`The guest answered: ${line}`));
  }
}
