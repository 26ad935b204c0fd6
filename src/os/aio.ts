import { arch } from 'node:process';
import { EAGAIN } from './constants.ts';
import { c, errno } from './libc.ts';
import { NativePage } from './native-page.ts';
import { checked, SystemError } from './system-error.ts';

// System call numbers, since libc has no functions for them: x86-64's own, and arm64's generic
// ones.
const IO_SETUP = arch === 'x64' ? 206 : 0;
const IO_DESTROY = arch === 'x64' ? 207 : 1;
const IO_GETEVENTS = arch === 'x64' ? 208 : 4;
const IO_SUBMIT = arch === 'x64' ? 209 : 2;

/** Requests submitted in one call. */
const BATCH_MAX = 64;
/** Unreaped completions; the kernel's ring has room for more than that. */
const UNREAPED_MAX = 128;

// Layout of our page: the context's id, pointers to the requests, the requests, completions.
const CONTEXT = 0;
const POINTERS = 1024;
const REQUESTS = 4096;
const EVENTS = 16384;
const EVENT_ROOM = 512;

// The fields of struct iocb that are set. Zeros mean a read (IOCB_CMD_PREAD) of no bytes.
const REQUEST_SIZE = 64;
const REQUEST_FD = 20;
const REQUEST_FLAGS = 56;
const REQUEST_EVENT_FD = 60;
const IOCB_FLAG_RESFD = 1;

/**
 * Signals other processes' eventfds without ever blocking. A write would block if the counter is
 * full and the descriptor is blocking, and its owner controls both at any time: O_NONBLOCK belongs
 * to the open file, which we share. So the kernel signals them on completion of a read of no bytes:
 * that never sleeps, and a full counter stays full. One call signals many eventfds, so that each
 * costs about as much as a write.
 */
export class AioSignals {
  readonly #page = new NativePage();
  readonly #context: number;
  #count = 0;
  #unreaped = 0;

  /** `file`: one that can be read. Throws a SystemError if there is no AIO. */
  constructor(file: number) {
    const { address: base, view } = this.#page;
    checked('io_setup', c.syscall(IO_SETUP, UNREAPED_MAX + BATCH_MAX, base + CONTEXT, 0, 0, 0));
    this.#context = Number(view.getBigUint64(CONTEXT, true));
    for (let index = 0; index < BATCH_MAX; index++) {
      const at = REQUESTS + index * REQUEST_SIZE;
      view.setBigUint64(POINTERS + 8 * index, BigInt(base + at), true);
      view.setUint32(at + REQUEST_FD, file, true);
      view.setUint32(at + REQUEST_FLAGS, IOCB_FLAG_RESFD, true);
    }
  }

  /** Queues an eventfd for `flush`. */
  add(fd: number): void {
    if (this.#count === BATCH_MAX) this.flush();
    const at = REQUESTS + this.#count * REQUEST_SIZE;
    this.#page.view.setUint32(at + REQUEST_EVENT_FD, fd, true);
    this.#count += 1;
  }

  /** Signals the queued eventfds. */
  flush(): void {
    let done = 0;
    while (done < this.#count) done += this.#submit(done);
    this.#count = 0;
    if (this.#unreaped > UNREAPED_MAX - BATCH_MAX) this.#reap();
  }

  close(): void {
    c.syscall(IO_DESTROY, this.#context, 0, 0, 0, 0);
  }

  /** Returns how many are settled. */
  #submit(first: number): number {
    const pointers = this.#page.address + POINTERS + 8 * first;
    const taken = c.syscall(IO_SUBMIT, this.#context, this.#count - first, pointers, 0, 0);
    if (taken > 0) {
      this.#unreaped += taken;
      return taken;
    }
    // A full batch always has room, so the kernel lacks memory, and an interrupt must not be lost.
    // The processor that replaces this one will raise it.
    if (errno() === EAGAIN) throw new SystemError('io_submit', EAGAIN);
    return 1; // the descriptor is not an eventfd: its owner's problem
  }

  #reap(): void {
    const events = this.#page.address + EVENTS;
    c.syscall(IO_GETEVENTS, this.#context, 0, EVENT_ROOM, events, 0);
    this.#unreaped = 0;
  }
}
