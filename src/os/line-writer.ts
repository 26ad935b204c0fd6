import { fstatSync } from 'node:fs';
import {
  EAGAIN,
  EINTR,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_WRONLY,
} from './constants.ts';
import { closeFd } from './descriptor.ts';
import { c, errno } from './libc.ts';
import { acquirePoller, type Poller, releasePoller } from './poller.ts';
import { readStat } from './proc-stat.ts';
import { scratch } from './scratch.ts';
import { isWritable, WRITABLE_BYTES } from './writable.ts';

/** Buffer for a slow reader: some thousand lines. */
const QUEUE_BYTES_MAX = 256 * 1024;

const WRITE_BYTES_MAX = 32 * 1024;

const NEWLINE = 0x0a;

/**
 * Writes that many bytes of the scratch page; returns the bytes written or −errno. Never blocks.
 */
type Write = (length: number) => number;

interface Queued {
  bytes: Buffer;
  /** Lines lost if it is dropped. */
  lines: number;
  isBegun: boolean;
}

export interface LineWriterOptions {
  /** The line that replaces the dropped ones. */
  droppedText: (lines: number) => string;
  queueBytesMax?: number;
}

/**
 * Writes lines to a standard descriptor whose reader may not be reading: a terminal after Ctrl-S, a
 * full pipe. Node writes to these on the main thread and would block for ever. This writer buffers
 * what does not fit, up to a limit. Further lines are dropped and counted, and as soon as there is
 * room again a line gives the count.
 *
 *     write ─► queue (bounded) ─► descriptor
 *         └─► full: dropped + 1
 *
 * What the system refuses for another reason (ENOSPC, EPIPE, EIO) is dropped at once. The next line
 * is tried again: the disk may have room by then.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #queueBytesMax: number;
  /** A file description of our own, or −1 if the given descriptor is used. */
  readonly #ownFd: number;
  readonly #fd: number;
  readonly #write: Write;
  /** Set while the descriptor is not writable. */
  #poller: Poller | null = null;
  readonly #queue: Queued[] = [];
  #queueBytes = 0;
  #dropped = 0;
  /** The rest of a line was dropped. */
  #isMidLine = false;
  #isClosed = false;
  #onDrained: (() => void)[] = [];

  constructor(fd: number, options: LineWriterOptions) {
    this.#options = options;
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX;
    const stat = fstatSync(fd);
    // A file has no reader to wait for. A reopened file would have an offset of its own and
    // overwrite what others wrote.
    this.#ownFd = stat.isFile() || stat.isSocket() ? -1 : openAnew(fd, stat.rdev);
    this.#fd = this.#ownFd >= 0 ? this.#ownFd : fd;
    if (stat.isSocket()) this.#write = (length) => sendNow(this.#fd, length);
    else if (stat.isFile() || this.#ownFd >= 0) this.#write = (length) => writeTo(this.#fd, length);
    else this.#write = (length) => writeIfReady(this.#fd, length);
  }

  /** Writes one or more lines, given without the final newline. Never blocks, never throws. */
  write(text: string): void {
    if (this.#isClosed) return;
    const bytes = Buffer.from(`${text}\n`);
    const note = this.#dropped === 0 ? null : this.#note();
    const total = bytes.length + (note?.bytes.length ?? 0);
    const lines = countLines(bytes);
    if (this.#queue.length > 0 && this.#queueBytes + total > this.#queueBytesMax) {
      this.#dropped += lines;
      return;
    }
    if (note !== null) this.#pushNote(note);
    this.#push({ bytes, lines, isBegun: false });
    if (this.#poller === null) this.#flush();
  }

  /** Dropped lines that have not been reported yet. */
  get droppedLines(): number {
    return this.#dropped;
  }

  /** Resolves when the queue is empty. */
  drained(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  /** Discards what is still queued. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#queue.length = 0;
    this.#stopWaiting();
    closeFd(this.#ownFd);
  }

  #note(): Queued {
    const bytes = Buffer.from(`${this.#options.droppedText(this.#dropped)}\n`);
    return { bytes, lines: this.#dropped, isBegun: false };
  }

  #pushNote(note: Queued): void {
    this.#dropped = 0;
    this.#push(note);
  }

  #push(item: Queued): void {
    this.#queue.push(item);
    this.#queueBytes += item.bytes.length;
  }

  #flush(): void {
    const wasWaiting = this.#poller !== null;
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const problem = this.#writeSome(first);
      if (problem === EAGAIN && this.#wait()) return;
      if (problem !== 0) this.#drop(first);
    }
    this.#stopWaiting();
    // Writable again: report what was lost, even if no line follows.
    if (wasWaiting && this.#dropped > 0) {
      this.#pushNote(this.#note());
      this.#flush();
    }
  }

  /** Returns 0, or errno. */
  #writeSome(first: Queued): number {
    const prefix = this.#isMidLine && !first.isBegun ? 1 : 0;
    const length = Math.min(first.bytes.length, WRITE_BYTES_MAX - 1);
    scratch.bytes[0] = NEWLINE;
    scratch.bytes.set(first.bytes.subarray(0, length), prefix);
    const written = this.#write(length + prefix);
    if (written < 0) return written === -EINTR ? 0 : -written;
    this.#isMidLine = false;
    if (written > prefix) first.isBegun = true;
    const taken = Math.max(written - prefix, 0);
    this.#queueBytes -= taken;
    first.bytes = first.bytes.subarray(taken);
    if (first.bytes.length === 0) this.#queue.shift();
    return 0;
  }

  #drop(first: Queued): void {
    this.#queue.shift();
    this.#queueBytes -= first.bytes.length;
    this.#dropped += first.lines;
    this.#isMidLine ||= first.isBegun;
  }

  /** Continues when the descriptor is writable. False if it cannot be polled. */
  #wait(): boolean {
    if (this.#poller !== null) return true;
    const poller = acquirePoller();
    try {
      poller.add(this.#fd, () => this.#flush());
      poller.watch(this.#fd, { read: false, write: true });
    } catch {
      releasePoller();
      return false;
    }
    this.#poller = poller;
    return true;
  }

  #stopWaiting(): void {
    if (this.#poller !== null) {
      this.#poller.remove(this.#fd);
      this.#poller = null;
      releasePoller();
    }
    const waiting = this.#onDrained;
    this.#onDrained = [];
    for (const resolve of waiting) resolve();
  }
}

const OPEN_FLAGS = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

/**
 * Reopens the file behind a descriptor. O_NONBLOCK belongs to the open file description, which the
 * shell and others share: set on theirs, it would make their writes fail. −1 if that fails: a pipe
 * may belong to another user, or have no reader.
 */
function openAnew(fd: number, device: number): number {
  const own = c.open(`/proc/self/fd/${fd}`, OPEN_FLAGS);
  if (own >= 0 || controllingTerminal() !== device) return own;
  // After `su` the terminal belongs to another user. This name works for everyone.
  return c.open('/dev/tty', OPEN_FLAGS);
}

/** Its device number (tty_nr), or −1. */
function controllingTerminal(): number {
  return Number(readStat('/proc/self')(7)) || -1;
}

function writeTo(fd: number, length: number): number {
  const written = c.write(fd, scratch.address, length);
  return written === -1 ? -errno() : written;
}

function sendNow(fd: number, length: number): number {
  const sent = c.send(fd, scratch.address, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent === -1 ? -errno() : sent;
}

/**
 * For a blocking description that cannot be reopened. Another process that writes between the poll
 * and our write could still make it block.
 */
function writeIfReady(fd: number, length: number): number {
  // The pollfd goes after the bytes to be written.
  if (!isWritable(fd, WRITE_BYTES_MAX)) return -EAGAIN;
  return writeTo(fd, Math.min(length, WRITABLE_BYTES));
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (const byte of bytes) if (byte === NEWLINE) lines += 1;
  return lines;
}
