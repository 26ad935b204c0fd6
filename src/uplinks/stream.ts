import { CloseAccount } from '../os/closer.ts';
import { closeFd } from '../os/descriptor.ts';
import type { Poller } from '../os/poller.ts';
import { ClientEndpoint, type Endpoint, ServerEndpoint } from '../os/unix-endpoint.ts';
import { nextConnection } from '../wires/stream-wire.ts';
import type { SourceListener, SourceState, UplinkSource } from './uplink.ts';

export interface StreamOptions {
  socket: string;
  mode: 'server' | 'client';
  mtu: number;
}

/** The capabilities of a stream or datagram socket: it carries complete frames only. */
export function plainCapabilities(mtu: number, burst: number) {
  return {
    mtu,
    checksum: false,
    segmentation: 'none',
    vnetHeader: false,
    burst,
    queues: 1,
  } as const;
}

/** QEMU's `-netdev stream`: one peer at a time on a Unix socket, for VMs without shared memory. */
export class StreamSource implements UplinkSource {
  readonly #options: StreamOptions;
  readonly #poller: Poller;
  #endpoint: Endpoint | null = null;
  #listener: SourceListener | null = null;
  #fd = -1;
  #isLost = false;

  constructor(options: StreamOptions, poller: Poller) {
    this.#options = options;
    this.#poller = poller;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    const { socket, mode } = this.#options;
    const meet = {
      closes: new CloseAccount((reason) => this.lose(reason)),
      onConnection: (fd: number) => this.#meet(fd),
      // The endpoint tries again by itself; the uplink stays down until then.
      onTrouble: () => undefined,
    };
    this.#endpoint =
      mode === 'server'
        ? new ServerEndpoint(socket, this.#poller, meet)
        : new ClientEndpoint(socket, meet);
  }

  save(): SourceState {
    return { fd: this.#fd, endpoint: this.#endpoint?.save() ?? null };
  }

  lose(reason: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#listener?.onDown(reason);
  }

  release(): void {
    if (!this.#isLost) return;
    this.#isLost = false;
    this.#close();
    this.#endpoint?.resume();
  }

  async stop(): Promise<void> {
    this.#endpoint?.close();
    this.#endpoint = null;
    this.#listener = null;
    this.#close();
  }

  #meet(fd: number): boolean {
    if (this.#fd !== -1 || this.#listener === null) return false;
    this.#fd = fd;
    const capabilities = plainCapabilities(this.#options.mtu, 64);
    const connection = nextConnection();
    this.#listener.onUp({ capabilities, settings: [{ kind: 'stream', fd, connection }] });
    return true;
  }

  #close(): void {
    closeFd(this.#fd);
    this.#fd = -1;
  }
}
