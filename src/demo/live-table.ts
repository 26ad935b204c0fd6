import type { WriteStream } from 'node:tty';
import type { Nic, NicStats } from '../nic/types.ts';
import { ratesBetween, type VfRate } from './rates.ts';

const redrawMs = 500;
const printMs = 1000;

/** Shows each VF's rate during a transfer: redrawn on a terminal, else a line per second. */
export class LiveTable {
  #nic: Nic;
  #out: WriteStream;
  #title = '';
  #before: NicStats;
  #timer: NodeJS.Timeout | undefined;
  #drawnLines = 0;

  constructor(nic: Nic, out: WriteStream) {
    this.#nic = nic;
    this.#out = out;
    this.#before = nic.stats();
  }

  start(title: string): void {
    this.#title = title;
    this.#before = this.#nic.stats();
    this.#timer = setInterval(() => this.#show(), this.#out.isTTY ? redrawMs : printMs);
  }

  /** Stops; the last table stays on the screen. */
  stop(): void {
    clearInterval(this.#timer);
    this.#drawnLines = 0;
  }

  #show(): void {
    const now = this.#nic.stats();
    const rates = ratesBetween(this.#before, now);
    this.#before = now;
    if (this.#out.isTTY) this.#redraw(tableLines(this.#title, rates));
    else this.#out.write(`${plainLine(this.#title, rates)}\n`);
  }

  #redraw(lines: readonly string[]): void {
    const up = this.#drawnLines > 0 ? `\u001b[${this.#drawnLines}A` : '';
    this.#out.write(up + lines.map((line) => `\u001b[K${line}\n`).join(''));
    this.#drawnLines = lines.length;
  }
}

function tableLines(title: string, rates: readonly VfRate[]): string[] {
  const columns = ['sends Mbit/s', 'receives Mbit/s', 'packets/s', 'drops'];
  return [
    `  ${title.padEnd(16)}${columns.map((column) => column.padStart(16)).join('')}`,
    ...rates.map((rate) => `  ${rate.name.padEnd(16)}${cells(rate).join('')}`),
  ];
}

function cells(rate: VfRate): string[] {
  const numbers = [rate.sentMbps, rate.receivedMbps, rate.packetsPerSecond, rate.drops];
  return numbers.map((number) => Math.round(number).toString().padStart(16));
}

function plainLine(title: string, rates: readonly VfRate[]): string {
  const parts = rates.map((rate) => {
    const sent = rate.sentMbps.toFixed(1);
    const received = rate.receivedMbps.toFixed(1);
    const packets = Math.round(rate.packetsPerSecond);
    const mbps = `${sent} out, ${received} in Mbit/s`;
    return `${rate.name}: ${mbps}, ${packets} packets/s, ${rate.drops} drops`;
  });
  return `  ${title}  ${parts.join(' | ')}`;
}
