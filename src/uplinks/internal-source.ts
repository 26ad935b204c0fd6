import type { SourceListener, SourceState, UplinkSource } from './uplink.ts';

/** Loopback and null: up from the start, with nothing to open. */
export class InternalSource implements UplinkSource {
  readonly #kind: 'loopback' | 'null';
  readonly #mtu: number;

  constructor(kind: 'loopback' | 'null', mtu: number) {
    this.#kind = kind;
    this.#mtu = mtu;
  }

  async start(listener: SourceListener): Promise<void> {
    // The null wire takes anything; the loopback's frames come back, and must be finished then.
    const capabilities = {
      mtu: this.#mtu,
      checksum: false,
      segmentation: 'none',
      vnetHeader: false,
      burst: 64,
      queues: 1,
    } as const;
    listener.onUp({ capabilities, settings: [{ kind: this.#kind }] });
  }

  save(): SourceState {
    return {};
  }

  lose(): void {}
  release(): void {}
  async stop(): Promise<void> {}
}
