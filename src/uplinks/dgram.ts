import { unlinkSync } from 'node:fs';
import { operatorError } from '../errors.ts';
import { EADDRINUSE } from '../os/constants.ts';
import { bindDatagramSocket } from '../os/datagram-socket.ts';
import { c } from '../os/libc.ts';
import { errorName } from '../os/system-error.ts';
import { connectUnixSocket } from '../os/unix-socket.ts';
import { plainCapabilities } from './stream.ts';
import type { SourceListener, UplinkSource } from './uplink.ts';
import { BURST_MAX } from './wire.ts';

const RETRY_MILLISECONDS = 500;

export interface DgramOptions {
  /** Ours, where the peer sends to. */
  socket: string;
  /** The peer's. */
  peer: string;
  mtu: number;
}

/** QEMU's `-netdev dgram` on Unix sockets: each frame a datagram, either side may come and go. */
export class DgramSource implements UplinkSource {
  readonly #options: DgramOptions;
  #listener: SourceListener | null = null;
  #fd = -1;
  #timer: NodeJS.Timeout | null = null;
  #isUp = false;

  constructor(options: DgramOptions) {
    this.#options = options;
  }

  async start(listener: SourceListener): Promise<void> {
    const { socket } = this.#options;
    const fd = bindDatagramSocket(socket);
    if (fd < 0) throw explain(-fd, socket);
    this.#fd = fd;
    this.#listener = listener;
    this.#connect();
  }

  lose(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  /** The socket itself is whole: its peer may come back. */
  release(): void {
    if (!this.#isUp && this.#listener !== null) this.#connect();
  }

  async stop(): Promise<void> {
    this.#listener = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#fd === -1) return;
    c.close(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#options.socket);
    } catch {
      // Somebody has cleaned up already.
    }
  }

  #connect(): void {
    if (this.#listener === null || this.#isUp) return;
    if (connectUnixSocket(this.#fd, this.#options.peer) !== 0) {
      this.#timer = setTimeout(() => this.#connect(), RETRY_MILLISECONDS);
      return;
    }
    this.#isUp = true;
    const capabilities = plainCapabilities(this.#options.mtu, BURST_MAX);
    const settings = [{ kind: 'message', fd: this.#fd, headerSize: 0 }] as const;
    this.#listener.onUp({ capabilities, settings });
  }
}

function explain(error: number, socket: string): Error {
  const code = errorName(error);
  if (error === EADDRINUSE) return operatorError('HEDDLE_SOCKET_IN_USE', { socket });
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return operatorError('HEDDLE_SOCKET_DIRECTORY_MISSING', { socket });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return operatorError('HEDDLE_SOCKET_NOT_WRITABLE', { socket });
  }
  return operatorError('HEDDLE_KERNEL_REFUSED', { operation: `bind ${socket}`, errno: code });
}
