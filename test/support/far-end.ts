import { lstatSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { MSG_DONTWAIT } from '../../src/os/constants.ts';
import { bindDatagramSocket, createDatagramSocket } from '../../src/os/datagram-socket.ts';
import { c, errno } from '../../src/os/libc.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { findNetDevice } from '../../src/os/net-device.ts';
import { openPacketSocket, PACKET_HEADER_SIZE } from '../../src/os/packet-socket.ts';
import { openTapQueue } from '../../src/os/tap.ts';
import { connectUnixSocket } from '../../src/os/unix-socket.ts';
import { acquirePoller, type PollerLease } from '../../src/testing/shared-poller.ts';
import { VdeSource } from '../../src/uplinks/vde.ts';
import { Arrivals } from './arrivals.ts';

/** The other end of an uplink's wire, controlled by a test. */
export interface FarEnd {
  /** The frames that have arrived so far, oldest first. */
  readonly frames: Uint8Array[];
  /** Resolves when there are `count` frames. */
  arrived(count: number): Promise<void>;
  /** False if there is no room. `header`: the virtio-net header, if the wire has one. */
  send(frame: Uint8Array, header?: Uint8Array): boolean;
  /** Whether frames are read; otherwise they pile up in the kernel. */
  setReading(isReading: boolean): void;
  close(): void;
}

const ROOM = 131072;
const ENOTSOCK = 88;

/**
 * Reads and writes whole frames at one descriptor, each after `headerSize` bytes of zeros.
 */
class MessageEnd implements FarEnd {
  readonly fd: number;
  readonly #arrivals: Arrivals;
  readonly #headerSize: number;
  readonly #memory = new LinearMemory(ROOM);
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  readonly #lease: PollerLease = acquirePoller();

  constructor(fd: number, headerSize: number, arrivals = new Arrivals()) {
    this.fd = fd;
    this.#arrivals = arrivals;
    this.#headerSize = headerSize;
    this.#lease.poller.add(fd, () => this.#read());
  }

  get frames(): Uint8Array[] {
    return this.#arrivals.frames;
  }

  arrived(count: number): Promise<void> {
    return this.#arrivals.wait(count);
  }

  send(frame: Uint8Array, header?: Uint8Array): boolean {
    this.#bytes.fill(0, 0, this.#headerSize);
    if (header !== undefined) this.#bytes.set(header);
    this.#bytes.set(frame, this.#headerSize);
    const length = this.#headerSize + frame.length;
    return c.write(this.fd, this.#memory.base, length) === length;
  }

  setReading(isReading: boolean): void {
    this.#lease.poller.watch(this.fd, { read: isReading, write: false });
  }

  close(): void {
    this.detach();
    c.close(this.fd);
  }

  /** Releases the descriptor without closing it. */
  detach(): void {
    this.#lease.poller.remove(this.fd);
    this.#lease.release();
  }

  /** Also reads from a TAP, which is not a socket and whose descriptor does not block. */
  #readOne(): number {
    const { base } = this.#memory;
    const length = c.recv(this.fd, base, ROOM, MSG_DONTWAIT);
    return length === -1 && errno() === ENOTSOCK ? c.read(this.fd, base, ROOM) : length;
  }

  #read(): void {
    for (let i = 0; i < 256; i++) {
      const length = this.#readOne();
      if (length <= 0) break;
      this.frames.push(this.#bytes.slice(this.#headerSize, length));
    }
    this.#arrivals.tell();
  }
}

/** A packet socket on an interface: receives what the interface receives, and sends through it. */
export function openInterfaceEnd(name: string): FarEnd {
  const device = findNetDevice(name);
  if (device === null) throw new Error(`no interface ${name}`);
  const fd = openPacketSocket(device.index, null);
  if (fd < 0) throw new Error(`no packet socket on ${name}: errno ${-fd}`);
  return new MessageEnd(fd, PACKET_HEADER_SIZE);
}

/** The owner of a TAP: receives what the interface sends, and the other way round. */
export function openTapEnd(name: string): FarEnd {
  const queue = openTapQueue(name, NET_HEADER_SIZE, false);
  if (typeof queue === 'number') throw new Error(`no TAP ${name}: errno ${queue}`);
  return new MessageEnd(queue.fd, NET_HEADER_SIZE);
}

/**
 * A peer in QEMU's dgram mode: bound to `path`, sending to `peer`. QEMU does not connect its
 * socket. A connected one receives only from `peer`.
 */
export function openDgramEnd(path: string, peer: string, { isConnected = false } = {}): FarEnd {
  // Renamed into place, so that a sender always finds this socket or the previous one.
  const draft = `${path}.new`;
  const fd = bindDatagramSocket(draft);
  const { ino } = lstatSync(draft);
  renameSync(draft, path);
  const receiver = new MessageEnd(fd, 0);
  const sender = isConnected ? receiver : new MessageEnd(createDatagramSocket(), 0);
  let isReady = false;
  return {
    frames: receiver.frames,
    arrived: (count) => receiver.arrived(count),
    send: (frame) => {
      isReady ||= connectUnixSocket(sender.fd, peer) === 0;
      return isReady && sender.send(frame);
    },
    setReading: (isReading) => receiver.setReading(isReading),
    close: () => {
      receiver.close();
      if (sender !== receiver) sender.close();
      // Another socket may be at this path now.
      if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path);
    },
  };
}

/** A frame as it appears in a stream. */
export function withLength(frame: Uint8Array): Uint8Array {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(frame.length);
  return Buffer.concat([prefix, frame]);
}

/** A peer in QEMU's stream mode: each frame is preceded by its length. */
export class StreamEnd implements FarEnd {
  readonly #arrivals = new Arrivals();
  readonly #path: string;
  #server: Server | null = null;
  #socket: Socket | null = null;
  #rest = Buffer.alloc(0);

  constructor(path: string, nicMode: 'server' | 'client') {
    this.#path = path;
    if (nicMode === 'client') {
      this.#server = createServer((socket) => this.#adopt(socket)).listen(path);
    } else this.connect();
  }

  get frames(): Uint8Array[] {
    return this.#arrivals.frames;
  }

  arrived(count: number): Promise<void> {
    return this.#arrivals.wait(count);
  }

  connect(): void {
    if (this.#server === null) this.#adopt(connect(this.#path));
  }

  disconnect(): void {
    this.#socket?.destroy();
    this.#socket = null;
    this.#rest = Buffer.alloc(0);
  }

  send(frame: Uint8Array): boolean {
    return this.sendBytes(withLength(frame));
  }

  /** Sends any part of the stream in one write. It may split frames. */
  sendBytes(bytes: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket === null) return false;
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(bytes);
    return true;
  }

  setReading(isReading: boolean): void {
    if (isReading) this.#socket?.resume();
    else this.#socket?.pause();
  }

  close(): void {
    this.disconnect();
    this.#server?.close();
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    this.#rest = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => this.#read(data));
  }

  #read(data: Buffer): void {
    let bytes = Buffer.concat([this.#rest, data]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      const end = 4 + bytes.readUInt32BE(0);
      this.frames.push(new Uint8Array(bytes.subarray(4, end)));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    this.#arrivals.tell();
  }
}

/** Another port of a VDE switch. */
export class VdeEnd implements FarEnd {
  readonly #arrivals = new Arrivals();
  readonly #lease = acquirePoller();
  readonly #source: VdeSource;
  #end: MessageEnd | null = null;

  static async open(socket: string): Promise<VdeEnd> {
    const end = new VdeEnd(socket);
    await end.#start();
    return end;
  }

  private constructor(socket: string) {
    this.#source = new VdeSource({ socket, mtu: 1500 }, this.#lease.poller);
  }

  #start(): Promise<void> {
    return this.#source.start({
      onUp: ({ settings: [wire] }) => {
        if (wire === undefined || !('fd' in wire)) throw new Error('no wire');
        this.#end = new MessageEnd(wire.fd, 0, this.#arrivals);
      },
      onDown: () => {
        this.#detach();
        this.#source.release();
      },
    });
  }

  get frames(): Uint8Array[] {
    return this.#arrivals.frames;
  }

  arrived(count: number): Promise<void> {
    return this.#arrivals.wait(count);
  }

  send(frame: Uint8Array): boolean {
    return this.#end?.send(frame) ?? false;
  }

  setReading(isReading: boolean): void {
    this.#end?.setReading(isReading);
  }

  close(): void {
    this.#detach();
    void this.#source.stop();
    this.#lease.release();
  }

  #detach(): void {
    this.#end?.detach();
    this.#end = null;
  }
}
