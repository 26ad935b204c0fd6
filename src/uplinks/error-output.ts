import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import { createPipe } from '../os/pipe.ts';
import type { Poller } from '../os/poller.ts';
import { scratch } from '../os/scratch.ts';

/** What is kept of it: the reason why a program ended comes last. */
const LENGTH_MAX = 500;
const READ_SIZE = 4096;
/** A pipe holds 64 KiB. A program that writes without end does not keep us here. */
const READS_MAX = 16;

export interface ErrorOutputState {
  fd: number;
  text: string;
}

/** The error output of a child to come, and the descriptor that the child writes to. */
export function openErrorOutput(poller: Poller): { output: ErrorOutput; writer: number } {
  const [fd, writer] = createPipe();
  try {
    return { output: new ErrorOutput(poller, { fd, text: '' }), writer };
  } catch (error) {
    for (const end of [fd, writer]) closeFd(end);
    throw error;
  }
}

/**
 * The last words of a child. We hold the read end of the pipe ourselves: with Node's, it would end
 * with this process, and after a hand-over the child would die of its next message.
 */
export class ErrorOutput {
  readonly #fd: number;
  readonly #poller: Poller;
  #text: string;
  #isOpen = true;

  constructor(poller: Poller, { fd, text }: ErrorOutputState) {
    this.#fd = fd;
    this.#text = text;
    this.#poller = poller;
    poller.add(fd, () => this.#read());
  }

  /** Reads what has been written in the meantime. Returns the end of everything so far. */
  latest(): string {
    for (let reads = 0; reads < READS_MAX && this.#isOpen && this.#read(); reads++);
    return this.#text;
  }

  save(): ErrorOutputState {
    return { fd: this.#fd, text: this.#text };
  }

  /** A successor reads it from now on. */
  handOver(): void {
    this.#isOpen = false;
    this.#poller.remove(this.#fd);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.handOver();
    c.close(this.#fd);
  }

  /** True if there may be more. */
  #read(): boolean {
    const length = c.read(this.#fd, scratch.address, READ_SIZE);
    if (length > 0) {
      const bytes = Buffer.from(scratch.bytes.subarray(0, length));
      this.#text = (this.#text + bytes.toString()).slice(-LENGTH_MAX);
    }
    // Its end would be reported again and again.
    if (length === 0) this.#poller.remove(this.#fd);
    return length > 0;
  }
}
