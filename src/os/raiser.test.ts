import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { createPipe } from '../../test/support/pipe.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, F_SETFL } from './constants.ts';
import { drainEventFd } from './event-fd.ts';
import { c } from './libc.ts';
import { createMemoryFile } from './memory-file.ts';
import { signalKind } from './peer-signal.ts';
import { Raiser } from './raiser.ts';
import { scratch } from './scratch.ts';
import { createSocketPair } from './unix-socket.ts';

let file: number;
let raiser: Raiser;
let open: number[];
let fdsBefore: number;

beforeEach(() => {
  fdsBefore = openFdCount();
  file = createMemoryFile('shared', 4096);
  raiser = new Raiser(file);
  open = [];
});

afterEach(() => {
  raiser.close();
  for (const fd of [file, ...open]) c.close(fd);
  expect(openFdCount()).toBe(fdsBefore);
});

function keep<Fds extends number[]>(...fds: Fds): Fds {
  open.push(...fds);
  return fds;
}

/** The value of an eventfd, or what a pipe or a socket delivers; −1 if there is nothing. */
function take(fd: number): bigint {
  c.fcntl(fd, F_SETFL, EFD_NONBLOCK);
  return c.read(fd, scratch.address, 8) === 8 ? scratch.view.getBigUint64(0, true) : -1n;
}

/** Fills a descriptor: a write would now block for ever. */
function fill(fd: number): void {
  c.fcntl(fd, F_SETFL, EFD_NONBLOCK);
  if (signalKind(fd) === 'eventfd') c.eventfdWrite(fd, 0xffff_ffff_ffff_fffen as never);
  else while (c.write(fd, scratch.address, 8) > 0);
  c.fcntl(fd, F_SETFL, 0);
}

describe("the kind of a peer's descriptor", () => {
  it('is eventfd, pipe, Unix socket, or null', () => {
    const [eventFd, [reader, writer], [socket, other]] = [
      c.eventfd(0, EFD_CLOEXEC),
      createPipe(),
      createSocketPair(),
    ];
    const inet = c.socket(2, 1, 0);
    keep(eventFd, reader, writer, socket, other, inet);
    expect(signalKind(eventFd)).toBe('eventfd');
    expect(signalKind(writer)).toBe('pipe');
    expect(signalKind(socket)).toBe('socket');
    expect(signalKind(inet), 'its lock can be held').toBeNull();
    expect(signalKind(file)).toBeNull();
    expect(signalKind(-1)).toBeNull();
  });
});

describe('a raiser', () => {
  it('adds one to an eventfd, blocking or not', () => {
    for (const flags of [0, EFD_NONBLOCK]) {
      const [fd] = keep(c.eventfd(0, flags));
      raiser.raise({ fd, kind: 'eventfd' });
      raiser.raise({ fd, kind: 'eventfd' });
      expect(take(fd)).toBe(2n);
    }
  });

  it('writes eight bytes to a pipe and to a socket', () => {
    const [reader, writer] = keep(...createPipe());
    const [ours, theirs] = keep(...createSocketPair());
    raiser.raise({ fd: writer, kind: 'pipe' });
    raiser.raise({ fd: ours, kind: 'socket' });
    for (const fd of [reader, theirs]) expect(take(fd)).toBe(1n);
    for (const fd of [reader, theirs]) expect(take(fd)).toBe(-1n);
  });

  it.each(['eventfd', 'pipe', 'socket'] as const)('never waits for a full %s', (kind) => {
    const pairs = { pipe: createPipe, socket: createSocketPair };
    const fds = kind === 'eventfd' ? [c.eventfd(0, 0)] : pairs[kind]().reverse();
    const [fd = -1] = keep(...fds);
    expect(signalKind(fd)).toBe(kind);
    fill(fd);
    for (let count = 0; count < 3; count++) raiser.raise({ fd, kind });
    expect(take(fds.at(-1) ?? -1)).not.toBe(-1n);
  });

  it('raises any number at once, repeatedly', () => {
    const fds = Array.from({ length: 200 }, () => c.eventfd(0, 0));
    keep(...fds);
    for (let round = 0; round < 50; round++) {
      for (const fd of fds) raiser.add(fd, 'eventfd');
      raiser.flush();
    }
    for (const fd of fds) expect(take(fd)).toBe(50n);
  });

  it('continues after a descriptor that is closed, broken, or of another kind', () => {
    const [reader, writer, last] = keep(...createPipe(), c.eventfd(0, 0));
    const [ours, theirs] = createSocketPair();
    keep(ours);
    c.close(theirs);
    raiser.add(-1, 'eventfd');
    raiser.add(reader, 'eventfd');
    raiser.add(reader, 'pipe');
    raiser.add(writer, 'socket');
    raiser.add(ours, 'socket');
    raiser.add(last, 'eventfd');
    raiser.flush();
    raiser.raise(null);
    expect(take(last)).toBe(1n);
  });

  it('fails if the kernel has no asynchronous I/O', () => {
    const raisers: Raiser[] = [];
    const { syscall } = c;
    c.syscall = () => syscall(-1, 0, 0, 0, 0, 0);
    try {
      expect(() => raisers.push(new Raiser(file))).toThrow('io_setup failed: ENOSYS');
    } finally {
      c.syscall = syscall;
    }
    expect(raisers).toEqual([]);
  });
});

it('an eventfd that was drained can be raised again', () => {
  const [fd] = keep(c.eventfd(0, EFD_NONBLOCK));
  raiser.raise({ fd, kind: 'eventfd' });
  drainEventFd(fd);
  raiser.raise({ fd, kind: 'eventfd' });
  expect(take(fd)).toBe(1n);
});
