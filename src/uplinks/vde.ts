import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { later } from '../background.ts';
import { operatorError } from '../errors.ts';
import { closePeerFds } from '../os/closer.ts';
import { bindDatagramSocket } from '../os/datagram-socket.ts';
import { closeFd } from '../os/descriptor.ts';
import type { Poller } from '../os/poller.ts';
import { SystemError } from '../os/system-error.ts';
import {
  connectUnixSocket,
  createUnixSocket,
  receiveMessage,
  sendMessage,
} from '../os/unix-socket.ts';
import { BURST_MAX } from '../wires/wire.ts';
import { plainCapabilities } from './stream.ts';
import type { PortFile, SourceListener, UplinkSource, Wires } from './uplink.ts';

const RETRY_MILLISECONDS = 1000;

/**
 * A switch answers within a millisecond. One that is stopped still accepts connections, and would
 * keep us waiting for as long as it is stopped.
 */
const ANSWER_SECONDS_MAX = 5;

// struct request_v3 of vde_switch: magic, version, type u32 each, struct sockaddr_un, description.
const MAGIC = 0xfeedface;
const VERSION = 3;
const REQUEST_NEW_CONTROL = 0;
const ADDRESS_SIZE = 110;
const DESCRIPTION_SIZE = 128;
const AF_UNIX = 1;

export interface VdeOptions {
  /** The directory that `vde_switch -s` created. */
  socket: string;
  mtu: number;
}

interface VdeState {
  fd: number;
  controlFd: number;
  path: string;
  isUp: boolean;
}

/** What the switch has not said yet, and who waits for that. */
interface Answer {
  bytes: Buffer;
  readonly timer: NodeJS.Timeout;
  resolve(peer: string): void;
  reject(error: Error): void;
}

/**
 * A port of a VDE switch: a request on its control socket names our datagram socket, and the answer
 * names the switch's. The port lives as long as the control connection.
 */
export class VdeSource implements UplinkSource {
  readonly #options: VdeOptions;
  readonly #poller: Poller;
  #listener: SourceListener | null = null;
  #controlFd = -1;
  #answer: Answer | null = null;
  #fd = -1;
  #path = '';
  #isUp = false;
  /** A successor has the sockets, so this source must not touch them, even if an answer comes. */
  #isHandedOver = false;
  #retry: NodeJS.Timeout | null = null;

  constructor(options: VdeOptions, poller: Poller) {
    this.#options = options;
    this.#poller = poller;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    await this.#join();
  }

  save(): VdeState {
    const [controlFd, path] = [this.#controlFd, this.#path];
    return { fd: this.#fd, controlFd, path, isUp: this.#isUp };
  }

  restore(listener: SourceListener, _file: PortFile, state: VdeState): Wires | null {
    this.#listener = listener;
    this.#fd = state.fd;
    this.#path = state.path;
    this.#isUp = state.isUp;
    if (state.controlFd !== -1) this.#watch(state.controlFd);
    if (this.#isUp) return this.#wires();
    this.#poller.whenOpen(() => this.release());
    return null;
  }

  handOver(): void {
    this.#isHandedOver = true;
    this.#listener = null;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#forgetQuestion();
    if (this.#controlFd !== -1) this.#poller.remove(this.#controlFd);
  }

  lose(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  release(): void {
    if (this.#isUp || this.#listener === null) return;
    this.#leave();
    this.#retry ??= later('join a VDE switch', RETRY_MILLISECONDS, () => {
      this.#retry = null;
      if (this.#listener === null) return;
      this.#join().catch(() => this.release());
    });
  }

  async stop(): Promise<void> {
    this.#listener = null;
    this.#isUp = false;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#leave();
  }

  async #join(): Promise<void> {
    const { socket } = this.#options;
    this.#bind();
    try {
      this.#connect(`${socket}/ctl`);
      const port = await this.#ask();
      if (this.#isHandedOver) return;
      const error = connectUnixSocket(this.#fd, port);
      if (error !== 0) throw new SystemError('connect', error);
    } catch (error) {
      this.#leave();
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw operatorError('HEDDLE_UPLINK_VDE', { reason, socket }, { cause: error });
    }
    if (this.#listener === null) return this.#leave(); // stopped meanwhile
    this.#isUp = true;
    this.#listener.onUp(this.#wires());
  }

  #wires(): Wires {
    const wire = { kind: 'message', fd: this.#fd, headerSize: 0 } as const;
    return { capabilities: plainCapabilities(this.#options.mtu, BURST_MAX), settings: [wire] };
  }

  #connect(path: string): void {
    const fd = createUnixSocket();
    const error = connectUnixSocket(fd, path);
    if (error !== 0) {
      closeFd(fd);
      throw new SystemError('connect', error);
    }
    this.#watch(fd);
  }

  #watch(controlFd: number): void {
    this.#controlFd = controlFd;
    this.#poller.add(controlFd, () => this.#hear());
  }

  /** Asks for a port; resolves with the path of the switch's own socket for it. */
  #ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = later('give up a VDE switch', ANSWER_SECONDS_MAX * 1000, () => {
        reject(new Error(`no answer within ${ANSWER_SECONDS_MAX} s`));
      });
      this.#answer = { bytes: Buffer.alloc(0), resolve, reject, timer };
      sendMessage(this.#controlFd, newPortRequest(this.#path));
    });
  }

  /** The switch answers once, with a struct sockaddr_un; then nothing comes but its end. */
  #hear(): void {
    try {
      const { length, bytes, fds } = receiveMessage(this.#controlFd, ADDRESS_SIZE);
      closePeerFds(fds);
      if (length > 0) this.#take(bytes);
      if (length !== 0) return;
    } catch {
      // As good as its end.
    }
    this.#disconnect();
    this.lose('the switch is gone');
  }

  #take(bytes: Uint8Array): void {
    if (this.#answer === null) return;
    this.#answer.bytes = Buffer.concat([this.#answer.bytes, bytes]);
    if (this.#answer.bytes.length < ADDRESS_SIZE) return;
    const path = this.#answer.bytes.subarray(2, ADDRESS_SIZE);
    this.#answer.resolve(path.subarray(0, Math.max(0, path.indexOf(0))).toString());
    this.#forgetQuestion();
  }

  #forgetQuestion(): void {
    clearTimeout(this.#answer?.timer);
    this.#answer = null;
  }

  #disconnect(): void {
    if (this.#controlFd !== -1) this.#poller.remove(this.#controlFd);
    closeFd(this.#controlFd);
    this.#controlFd = -1;
    this.#answer?.reject(new Error('it closed the connection'));
    this.#forgetQuestion();
  }

  /** Binds in the switch's directory, as the VDE library does, or else in /tmp. */
  #bind(): void {
    // Containers may share a directory, so not even the PID is unique.
    const name = `.heddle-${randomBytes(8).toString('hex')}`;
    let failure: unknown;
    for (const directory of [this.#options.socket, '/tmp']) {
      this.#path = `${directory}/${name}`;
      try {
        this.#fd = bindDatagramSocket(this.#path);
        return;
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        failure = error;
      }
    }
    const reason = failure instanceof SystemError ? failure.code : '';
    throw operatorError('HEDDLE_UPLINK_VDE', { reason, socket: this.#options.socket });
  }

  #leave(): void {
    this.#disconnect();
    if (this.#fd < 0) return;
    closeFd(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#path);
    } catch {
      // The directory is gone, and the socket with it.
    }
  }
}

function newPortRequest(path: string): Buffer {
  const request = Buffer.alloc(12 + ADDRESS_SIZE + DESCRIPTION_SIZE);
  request.writeUInt32LE(MAGIC, 0);
  request.writeUInt32LE(VERSION, 4);
  request.writeUInt32LE(REQUEST_NEW_CONTROL, 8);
  request.writeUInt16LE(AF_UNIX, 12);
  request.write(path, 14);
  request.write(`heddle, process ${process.pid}`, 12 + ADDRESS_SIZE);
  return request;
}
