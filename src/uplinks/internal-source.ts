import type { SourceListener, SourceState, UplinkSource, Wires } from './uplink.ts';

/** Loopback and null: up from the start; there is nothing to open. */
export class InternalSource implements UplinkSource {
  readonly #kind: 'loopback' | 'null';
  readonly #mtu: number;

  constructor(kind: 'loopback' | 'null', mtu: number) {
    this.#kind = kind;
    this.#mtu = mtu;
  }

  async start(listener: SourceListener): Promise<void> {
    listener.onUp(this.#wires());
  }

  save(): SourceState {
    return {};
  }

  restore(): Wires {
    return this.#wires();
  }

  #wires(): Wires {
    // The null wire accepts anything; frames of the loopback come back, so they must be complete.
    const capabilities = {
      mtu: this.#mtu,
      checksum: false,
      segmentation: 'none',
      vnetHeader: false,
      burst: 64,
      queues: 1,
    } as const;
    return { capabilities, settings: [{ kind: this.#kind }] };
  }

  handOver(): void {}
  lose(): void {}
  release(): void {}
  async stop(): Promise<void> {}
}
