// Parts of a world that act only when a test says so.

import { EPOLLIN } from '../../src/os/constants.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from '../../src/uplinks/uplink.ts';

/** A poller that checks a descriptor when told to. */
export class ManualPoller {
  readonly #watched = new Map<number, { listener: (events: number) => void; isRead: boolean }>();

  add(fd: number, listener: (events: number) => void): void {
    this.#watched.set(fd, { listener, isRead: true });
  }

  watch(fd: number, { read }: { read: boolean }): void {
    const watched = this.#watched.get(fd);
    if (watched !== undefined) watched.isRead = read;
  }

  remove(fd: number): void {
    this.#watched.delete(fd);
  }

  /** It is never held. */
  whenOpen(work: () => void): void {
    work();
  }

  readable(): number[] {
    return [...this.#watched].filter(([, { isRead }]) => isRead).map(([fd]) => fd);
  }

  look(fd: number): void {
    const watched = this.#watched.get(fd);
    if (watched?.isRead === true) watched.listener(EPOLLIN);
  }
}

const MANUAL_WIRES: Wires = {
  capabilities: {
    ...{ mtu: 1500, checksum: false, segmentation: 'none', vnetHeader: false },
    ...{ burst: 64, queues: 1 },
  },
  settings: [{ kind: 'null' }],
};

/** A source whose link goes up and down when told to. */
export class ManualSource implements UplinkSource {
  isUp = false;
  #listener: SourceListener | null = null;

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    this.set(true);
  }

  set(isUp: boolean): void {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    if (isUp) this.#listener?.onUp(MANUAL_WIRES);
    else this.#listener?.onDown('scripted');
  }

  save(): { isUp: boolean } {
    return { isUp: this.isUp };
  }

  restore(listener: SourceListener, _file: PortFile, { isUp }: { isUp: boolean }): Wires | null {
    this.#listener = listener;
    this.isUp = isUp;
    return isUp ? MANUAL_WIRES : null;
  }

  handOver(): void {
    this.#listener = null;
  }

  lose(): void {
    this.set(false);
  }

  release(): void {}

  async stop(): Promise<void> {
    this.#listener = null;
  }
}
