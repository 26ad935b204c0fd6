import { unlinkSync } from 'node:fs';
import { later } from '../background.ts';
import { EPERM } from '../os/constants.ts';
import { bindDatagramSocket, createDatagramSocket } from '../os/datagram-socket.ts';
import { closeFd } from '../os/descriptor.ts';
import { c } from '../os/libc.ts';
import type { Poller } from '../os/poller.ts';
import { connectUnixSocket } from '../os/unix-socket.ts';
import { socketError } from '../system-refusal.ts';
import { BURST_MAX } from '../wires/wire.ts';
import { plainCapabilities } from './stream.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from './uplink.ts';

const RETRY_MILLISECONDS = 500;

export interface DgramOptions {
  /** Our path, where the peer sends to. */
  socket: string;
  /** The peer's path. */
  peer: string;
  mtu: number;
}

interface DgramState {
  fd: number;
  probeFd: number;
  isUp: boolean;
}

/**
 * QEMU's `-netdev dgram` on Unix sockets: one datagram per frame; either side may come and go.
 *
 * Like QEMU's, the socket is not connected. So a peer that restarts can send at once, and frames
 * sent to its path reach it. Permissions of our path and its directory decide who may send to us.
 */
export class DgramSource implements UplinkSource {
  readonly #options: DgramOptions;
  readonly #poller: Poller;
  #listener: SourceListener | null = null;
  #fd = -1;
  /** Connected to the peer to see whether it exists; the processor waits on it for room. */
  #probeFd = -1;
  #timer: NodeJS.Timeout | null = null;
  #isListening = false;
  #isUp = false;

  constructor(options: DgramOptions, poller: Poller) {
    this.#options = options;
    this.#poller = poller;
  }

  async start(listener: SourceListener): Promise<void> {
    const { socket } = this.#options;
    try {
      this.#fd = bindDatagramSocket(socket);
    } catch (error) {
      throw socketError(error, socket) ?? error;
    }
    this.#probeFd = createDatagramSocket();
    this.#listener = listener;
    this.#look();
  }

  save(): DgramState {
    return { fd: this.#fd, probeFd: this.#probeFd, isUp: this.#isUp };
  }

  restore(listener: SourceListener, _file: PortFile, state: DgramState): Wires | null {
    this.#listener = listener;
    this.#fd = state.fd;
    this.#probeFd = state.probeFd;
    this.#isUp = state.isUp;
    if (this.#isUp) return this.#wires();
    this.#poller.whenOpen(
      () => this.#look(),
      (reason) => this.#listener?.onDown(reason),
    );
    return null;
  }

  handOver(): void {
    this.#listener = null;
    this.#rest();
  }

  lose(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  /** The sockets themselves are intact: the peer may come back. */
  release(): void {
    if (!this.#isUp && this.#listener !== null) this.#look();
  }

  async stop(): Promise<void> {
    this.#listener = null;
    this.#rest();
    if (this.#fd === -1) return;
    closeFd(this.#probeFd);
    c.close(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#options.socket);
    } catch {
      // It is already gone.
    }
  }

  #look(): void {
    this.#rest();
    if (this.#isPeerThere()) this.#up();
    else this.#wait();
  }

  #isPeerThere(): boolean {
    const error = connectUnixSocket(this.#probeFd, this.#options.peer);
    // EPERM: connected to another socket, hopefully ours. If not, it refuses frames, which are
    // counted.
    return error === 0 || error === EPERM;
  }

  /** Checks again after a while, and as soon as a frame arrives. */
  #wait(): void {
    this.#timer = later('look for a peer', RETRY_MILLISECONDS, () => this.#look());
    this.#isListening = true;
    this.#poller.add(this.#fd, () => {
      this.#deafen(); // the frame stays in the socket, which would stay readable
      if (!this.#isPeerThere()) return;
      this.#rest();
      this.#up();
    });
  }

  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#deafen();
  }

  #deafen(): void {
    if (this.#isListening) this.#poller.remove(this.#fd);
    this.#isListening = false;
  }

  #up(): void {
    this.#isUp = true;
    this.#listener?.onUp(this.#wires());
  }

  #wires(): Wires {
    const { mtu, peer: path } = this.#options;
    const peer = { path, roomFd: this.#probeFd };
    const wire = { kind: 'message', fd: this.#fd, headerSize: 0, peer } as const;
    return { capabilities: plainCapabilities(mtu, BURST_MAX), settings: [wire] };
  }
}
