import { AioSignals } from './aio.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL, SPLICE_F_NONBLOCK } from './constants.ts';
import { c } from './libc.ts';
import { NativePage } from './native-page.ts';
import type { PeerSignal, SignalKind } from './peer-signal.ts';

/** We write the number 1, as for an eventfd. */
const SIGNAL_SIZE = 8;
const VECTOR = 64;

/**
 * Signals descriptors of peers in ways that cannot block this thread, whatever their owners do with
 * them. A full descriptor counts as signalled; a broken one is its owner's problem. `add` may
 * signal at once, `flush` signals the rest. For use by one thread.
 */
export class Raiser {
  readonly #aio: AioSignals;
  readonly #page = new NativePage();

  /** `file`: one that can be read. Throws a SystemError if there is no asynchronous I/O. */
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
        // Non-blocking through this flag, since O_NONBLOCK is shared with the owner.
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
