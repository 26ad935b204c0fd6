import { AioSignals } from './aio.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL, SPLICE_F_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { NativePage } from './native-page.ts';
import type { PeerSignal, SignalKind } from './peer-signal.ts';

/** What is written: one, as an eventfd takes it. */
const SIGNAL_SIZE = 8;
const VECTOR = 64;

/**
 * Raises descriptors of peers in ways that cannot make this thread wait, whatever their owners do
 * with them. A peer that is full is as good as raised; one that is broken is its owner's loss.
 * `add` may raise at once, `flush` raises all that is left. One thread's own.
 */
export class Raiser {
  readonly #aio: AioSignals;
  readonly #page = new NativePage();

  /** `file`: one that can be read. Throws a SystemError: there may be no asynchronous I/O. */
  constructor(file: number) {
    this.#aio = new AioSignals(file);
    const { view, address } = this.#page;
    view.setBigUint64(0, 1n, true);
    view.setBigUint64(VECTOR, BigInt(address), true);
    view.setBigUint64(VECTOR + 8, BigInt(SIGNAL_SIZE), true);
  }

  add(fd: number, kind: SignalKind): void {
    const { address } = this.#page;
    switch (kind) {
      case 'eventfd':
        this.#aio.add(fd);
        return;
      case 'pipe':
        // Non-blocking by this flag, not by O_NONBLOCK: that belongs to its owner, too.
        c.vmsplice(fd, address + VECTOR, 1, SPLICE_F_NONBLOCK);
        return;
      case 'socket':
        c.send(fd, address, SIGNAL_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
  }

  flush(): void {
    this.#aio.flush();
  }

  raise(signal: PeerSignal | null): void {
    if (signal === null) return;
    this.add(signal.fd, signal.kind);
    this.flush();
  }

  close(): void {
    this.#aio.close();
  }
}
