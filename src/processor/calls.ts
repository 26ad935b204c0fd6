import { RING_COUNT_MAX } from '../../layout/limits.ts';
import { REGISTERS_BASE, SIGNAL_LIST_BASE } from '../../layout/memory.ts';
import { REGISTER_SIGNAL_COUNT } from '../../layout/processor.ts';
import type { PeerSignal, SignalKind } from '../os/peer-signal.ts';
import { Raiser } from '../os/raiser.ts';

const KINDS: readonly SignalKind[] = ['eventfd', 'pipe', 'socket'];

/** The call descriptors of one processor's rings. Raising one interrupts its guest. */
export class Calls {
  readonly #raiser: Raiser;
  readonly #registers: Int32Array;
  readonly #rings: Uint32Array;
  readonly #fds = new Int32Array(RING_COUNT_MAX).fill(-1);
  readonly #kinds = new Uint8Array(RING_COUNT_MAX);

  constructor(buffer: ArrayBuffer, sharedFd: number) {
    this.#raiser = new Raiser(sharedFd);
    this.#registers = new Int32Array(buffer, REGISTERS_BASE, 64);
    this.#rings = new Uint32Array(buffer, SIGNAL_LIST_BASE, RING_COUNT_MAX);
  }

  set(ring: number, call: PeerSignal | null): void {
    this.#fds[ring] = call?.fd ?? -1;
    this.#kinds[ring] = call === null ? 0 : KINDS.indexOf(call.kind);
  }

  /** Raises those that the firmware has listed. */
  raiseListed(): void {
    const count = this.#registers[REGISTER_SIGNAL_COUNT / 4] ?? 0;
    for (let i = 0; i < count; i++) this.#add(this.#rings[i] ?? 0);
    this.#registers[REGISTER_SIGNAL_COUNT / 4] = 0;
    this.#raiser.flush();
  }

  raise(ring: number): void {
    this.#add(ring);
    this.#raiser.flush();
  }

  close(): void {
    this.#raiser.close();
  }

  #add(ring: number): void {
    const fd = this.#fds[ring] ?? -1;
    if (fd >= 0) this.#raiser.add(fd, KINDS[this.#kinds[ring] ?? 0] ?? 'eventfd');
  }
}
