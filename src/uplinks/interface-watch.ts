import { LinkMonitor } from '../os/link-monitor.ts';
import type { Poller } from '../os/poller.ts';

/**
 * One monitor for all uplinks of a NIC that use interfaces; it listens while there are any.
 */
export class InterfaceWatch {
  readonly #poller: Poller;
  readonly #listeners = new Set<() => void>();
  #monitor: LinkMonitor | null = null;

  constructor(poller: Poller) {
    this.#poller = poller;
  }

  /** Calls `work` once what was taken over may be changed: see poller.ts. */
  whenOpen(work: () => void, onFailure: (reason: string) => void): void {
    this.#poller.whenOpen(work, onFailure);
  }

  /** Calls `listener` after any interface of the machine has changed. Returns how to stop it. */
  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    this.#monitor ??= new LinkMonitor(this.#poller, () => {
      for (const tell of [...this.#listeners]) tell();
    });
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#monitor?.close();
      this.#monitor = null;
    };
  }
}
