import { CloseAccount } from '../os/closer.ts';
import { closeFd } from '../os/descriptor.ts';
import type { Poller } from '../os/poller.ts';
import {
  ClientEndpoint,
  type Endpoint,
  type EndpointState,
  ServerEndpoint,
} from '../os/unix-endpoint.ts';
import { nextGeneration } from './generations.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from './uplink.ts';

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

interface StreamState {
  endpoint: EndpointState;
  /** −1: no peer is there. */
  fd: number;
  connection: number;
}

/** QEMU's `-netdev stream`: one peer at a time on a Unix socket, for VMs without shared memory. */
export class StreamSource implements UplinkSource {
  readonly #options: StreamOptions;
  readonly #poller: Poller;
  #endpoint: Endpoint | null = null;
  #listener: SourceListener | null = null;
  #fd = -1;
  #connection = 0;
  #isLost = false;

  constructor(options: StreamOptions, poller: Poller) {
    this.#options = options;
    this.#poller = poller;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    this.#listen();
  }

  save(): StreamState {
    const endpoint = this.#endpoint?.save() ?? null;
    return { endpoint, fd: this.#fd, connection: this.#connection };
  }

  restore(listener: SourceListener, _file: PortFile, state: StreamState): Wires | null {
    this.#listener = listener;
    this.#fd = state.fd;
    this.#connection = state.connection;
    this.#listen(state.endpoint);
    return this.#fd === -1 ? null : this.#wires();
  }

  handOver(): void {
    this.#listener = null;
    this.#endpoint?.handOver();
  }

  #listen(saved?: EndpointState): void {
    const { socket, mode } = this.#options;
    const meet = {
      closes: new CloseAccount((reason) => this.lose(reason)),
      onConnection: (fd: number) => this.#meet(fd),
      // The endpoint tries again by itself; the uplink stays down until then.
      onTrouble: () => undefined,
    };
    this.#endpoint =
      mode === 'server'
        ? new ServerEndpoint(socket, this.#poller, meet, saved)
        : new ClientEndpoint(socket, this.#poller, meet, this.#fd !== -1);
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
    this.#connection = nextGeneration();
    this.#listener.onUp(this.#wires());
    return true;
  }

  #wires(): Wires {
    const wire = { kind: 'stream', fd: this.#fd, connection: this.#connection } as const;
    return { capabilities: plainCapabilities(this.#options.mtu, 64), settings: [wire] };
  }

  #close(): void {
    closeFd(this.#fd);
    this.#fd = -1;
  }
}
