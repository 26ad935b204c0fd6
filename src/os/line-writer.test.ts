import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { c } from './libc.ts';
import { LineWriter } from './line-writer.ts';
import { createSocketPair } from './unix-socket.ts';

const base = mkdtempSync(join(tmpdir(), 'heddle-lines-'));
const droppedText = (lines: number): string => `${lines} lines were dropped`;
const filler = 'x'.repeat(999);
const opened: number[] = [];
const writers: LineWriter[] = [];

function writerTo(fd: number, queueBytesMax = 10_000): LineWriter {
  const writer = new LineWriter(fd, { droppedText, queueBytesMax });
  writers.push(writer);
  return writer;
}

function track(fd: number): number {
  opened.push(fd);
  return fd;
}

/** A pipe: both ends of a FIFO, blocking, as a shell creates them. */
function pipe(): { reader: number; writer: number } {
  const path = join(base, `fifo-${opened.length}-${writers.length}-${Math.random()}`);
  spawnSync('mkfifo', [path]);
  const reader = track(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  return { reader, writer: track(openSync(path, constants.O_WRONLY)) };
}

/** What can be read from a descriptor now. */
function readNow(fd: number): string {
  const bytes = Buffer.alloc(1 << 20);
  let text = '';
  for (;;) {
    try {
      const length = readSync(fd, bytes, 0, bytes.length, null);
      if (length === 0) return text;
      text += bytes.toString('utf8', 0, length);
    } catch {
      return text;
    }
  }
}

/** Reads until the writer's queue is empty. */
async function readAll(fd: number, writer: LineWriter): Promise<string> {
  let text = readNow(fd);
  const isDrained = writer.drained().then(() => true);
  const later = (): Promise<false> => new Promise((resolve) => setImmediate(() => resolve(false)));
  while (!(await Promise.race([isDrained, later()]))) text += readNow(fd);
  return text + readNow(fd);
}

afterEach(() => {
  for (const writer of writers.splice(0)) writer.close();
  for (const fd of opened.splice(0)) closeSync(fd);
});

describe('lines for a reader that does not read', () => {
  const kinds = {
    pipe,
    socket: () => {
      const [reader, writer] = createSocketPair();
      c.fcntl(writer, 4, 0); // F_SETFL: blocking, as inherited from a parent
      return { reader: track(reader), writer: track(writer) };
    },
  };
  it.each(Object.entries(kinds))(
    'never block, %s: buffered up to a limit, then counted',
    async (_, open) => {
      const { reader, writer: fd } = open();
      const writer = writerTo(fd);
      const written = 2000;
      for (let i = 0; i < written; i++) writer.write(`${i} ${filler}`);
      const lines = (await readAll(reader, writer)).trimEnd().split('\n');
      // In order, none truncated, and the rest accounted for at the end.
      const last = lines.pop() ?? '';
      lines.forEach((line, i) => {
        expect(line).toBe(`${i} ${filler}`);
      });
      expect(last).toBe(droppedText(written - lines.length));
      expect(lines.length).toBeLessThan(written);
      // And it continues as before.
      writer.write('again');
      expect(await readAll(reader, writer)).toBe('again\n');
    },
  );

  it('leave the file description of others unchanged', () => {
    const { writer: fd } = pipe();
    const before = c.fcntl(fd, 3, 0); // F_GETFL
    writerTo(fd).write('a line');
    expect(c.fcntl(fd, 3, 0)).toBe(before);
  });
});

describe('lines that the system refuses', () => {
  it('are dropped and counted on a full disk', () => {
    const writer = writerTo(track(openSync('/dev/full', 'w')));
    for (let i = 0; i < 10; i++) writer.write('a line');
    expect(writer.droppedLines).toBe(10);
  });

  it('are dropped when the reader is gone, and reported to a new one', async () => {
    const path = join(base, 'gone');
    spawnSync('mkfifo', [path]);
    const open = (flags: number): number => openSync(path, flags);
    const first = open(constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = writerTo(track(open(constants.O_WRONLY)));
    closeSync(first);
    for (let i = 0; i < 3; i++) writer.write('a line');
    const second = track(open(constants.O_RDONLY | constants.O_NONBLOCK));
    writer.write('heard');
    expect(await readAll(second, writer)).toBe(`${droppedText(3)}\nheard\n`);
  });

  it('do not merge with the next when only part of one was written', async () => {
    const path = join(base, 'cut');
    spawnSync('mkfifo', [path]);
    const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = writerTo(track(openSync(path, constants.O_WRONLY)));
    writer.write('y'.repeat(100_000)); // a pipe holds 64 KiB
    closeSync(first);
    await writer.drained();
    const second = track(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    readNow(second);
    writer.write('next');
    expect(await readAll(second, writer)).toBe(`\n${droppedText(1)}\nnext\n`);
  });
});
