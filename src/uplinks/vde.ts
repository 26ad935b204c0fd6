import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { operatorError } from '../errors.ts';
import { bindDatagramSocket } from '../os/datagram-socket.ts';
import { c } from '../os/libc.ts';
import { errorName, SystemError } from '../os/system-error.ts';
import { connectUnixSocket } from '../os/unix-socket.ts';
import { BURST_MAX } from '../wires/wire.ts';
import { plainCapabilities } from './stream.ts';
import type { SourceListener, SourceState, UplinkSource } from './uplink.ts';

const RETRY_MILLISECONDS = 1000;

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

/**
 * A port of a VDE switch: a request on its control socket names our datagram socket, and the answer
 * names the switch's. The port lives as long as the control connection.
 */
export class VdeSource implements UplinkSource {
  readonly #options: VdeOptions;
  #listener: SourceListener | null = null;
  #control: Socket | null = null;
  #fd = -1;
  #path = '';
  #isUp = false;
  #retry: NodeJS.Timeout | null = null;

  constructor(options: VdeOptions) {
    this.#options = options;
  }

  async start(listener: SourceListener): Promise<void> {
    this.#listener = listener;
    await this.#join();
  }

  save(): SourceState {
    return { fd: this.#fd, isUp: this.#isUp };
  }

  lose(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#listener?.onDown(reason);
  }

  release(): void {
    if (this.#isUp || this.#listener === null) return;
    this.#leave();
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      if (this.#listener === null) return;
      this.#join().catch(() => this.release());
    }, RETRY_MILLISECONDS);
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
      const control = await openControl(`${socket}/ctl`);
      this.#control = control;
      control.write(newPortRequest(this.#path));
      const peer = await readAddress(control);
      const error = connectUnixSocket(this.#fd, peer);
      if (error !== 0) throw new Error(errorName(error));
      control.once('close', () => {
        if (this.#control === control) this.lose('the switch is gone');
      });
    } catch (error) {
      this.#leave();
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw operatorError('HEDDLE_UPLINK_VDE', { reason, socket }, { cause: error });
    }
    if (this.#listener === null) return this.#leave(); // stopped meanwhile
    this.#isUp = true;
    const capabilities = plainCapabilities(this.#options.mtu, BURST_MAX);
    const settings = [{ kind: 'message', fd: this.#fd, headerSize: 0 }] as const;
    this.#listener.onUp({ capabilities, settings });
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
    const control = this.#control;
    this.#control = null;
    control?.destroy();
    if (this.#fd < 0) return;
    c.close(this.#fd);
    this.#fd = -1;
    try {
      unlinkSync(this.#path);
    } catch {
      // The directory is gone, and the socket with it.
    }
  }
}

function openControl(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const control = connect(path);
    control.once('connect', () => {
      control.off('error', reject);
      control.on('error', () => undefined); // `close` follows
      resolve(control);
    });
    control.once('error', reject);
  });
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

/** The answer: struct sockaddr_un of the switch's datagram socket. */
function readAddress(control: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0);
    control.on('data', (data: Buffer) => {
      answer = Buffer.concat([answer, data]);
      if (answer.length < ADDRESS_SIZE) return;
      const path = answer.subarray(2, ADDRESS_SIZE);
      resolve(path.subarray(0, Math.max(0, path.indexOf(0))).toString());
    });
    control.once('close', () => reject(new Error('it closed the connection')));
  });
}
