import { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';

const tailLines = 40;
const panicText = 'Kernel panic - not syncing';
/** What a PC's firmware sends to clear the screen, and carriage returns. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes.
const controlSequences = /\u001b\[[?\d;]*[a-zA-Z]|\u001bc|\r/g;

interface ConsoleEvents {
  panic: [];
}

/** The last lines that a guest (or QEMU itself) printed, and an event when its kernel panics. */
export class ConsoleLog extends EventEmitter<ConsoleEvents> {
  #lines: string[] = [''];

  listen(stream: Readable | null): void {
    stream?.setEncoding('latin1');
    stream?.on('data', (text: string) => this.#append(text));
    stream?.on('error', () => {}); // The exit of QEMU is reported instead.
  }

  tail(): string {
    return this.#lines.slice(-tailLines).join('\n');
  }

  #append(text: string): void {
    const [rest = '', ...lines] = text.replace(controlSequences, '').split('\n');
    const last = this.#lines.length - 1;
    this.#lines[last] += rest;
    this.#lines.push(...lines);
    // Only in complete lines: the reason follows the text.
    const isPanic = this.#lines.slice(last, -1).some((line) => line.includes(panicText));
    this.#lines = this.#lines.slice(-tailLines);
    if (isPanic) this.emit('panic');
  }
}
