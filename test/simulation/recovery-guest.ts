import { closeSync } from 'node:fs';
import * as virtio from '../../layout/virtio.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import {
  connectUnixSocket,
  createSocketPair,
  createUnixSocket,
  receiveMessage,
  sendMessage,
} from '../../src/os/unix-socket.ts';
import { maskOf } from '../../src/testing/handshake.ts';
import type { Random } from '../../src/testing/random.ts';
import * as wire from '../../src/vhost-user/message.ts';

const REGION_SIZE = 0x10_0000;
const REGIONS_MAX = 3;
const QUEUES = 5;
const PAGE = 4096;

const FEATURES = [
  virtio.VIRTIO_F_VERSION_1,
  virtio.VIRTIO_F_RING_PACKED,
  virtio.VIRTIO_F_ACCESS_PLATFORM,
  virtio.VIRTIO_NET_F_CTRL_VQ,
  virtio.VIRTIO_NET_F_MQ,
  virtio.VHOST_USER_F_PROTOCOL_FEATURES,
];
const PROTOCOL = [
  'MQ',
  'REPLY_ACK',
  'CONFIG',
  'BACKEND_REQ',
  'CONFIGURE_MEM_SLOTS',
  'STATUS',
] as const;

/**
 * A front-end whose requests follow from a seed: mostly those of a VMM, in an order that no VMM
 * uses. It reads answers only to keep the socket empty.
 */
export class RecoveryGuest {
  readonly #path: string;
  readonly #random: Random;
  readonly #files = Array.from({ length: REGIONS_MAX }, () => createMemoryFile('ram', REGION_SIZE));
  #fd = -1;
  #channel = -1;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
  }

  get isConnected(): boolean {
    return this.#fd !== -1;
  }

  connect(): void {
    if (this.isConnected) return;
    this.#fd = createUnixSocket();
    if (connectUnixSocket(this.#fd, this.#path) !== 0) this.disconnect();
  }

  disconnect(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    if (this.#channel !== -1) closeSync(this.#channel);
    this.#fd = -1;
    this.#channel = -1;
  }

  close(): void {
    this.disconnect();
    for (const fd of this.#files) closeSync(fd);
  }

  /** Sends everything that a VMM sends until its rings run. */
  setUp(): void {
    this.connect();
    this.#negotiate();
    this.#setMemoryTable();
    const last = this.#random.below(QUEUES);
    for (let queue = 0; queue <= last; queue++) this.#setUpRing(queue);
  }

  /** Sends one request, or a few that belong together. */
  say(): void {
    const queue = this.#random.below(QUEUES);
    const u64 = (value: number) => wire.writeU64(BigInt(value));
    const state = (value: number) => wire.writeVringState(queue, value);
    this.#random.pick([
      () => this.#negotiate(),
      () => this.#setMemoryTable(),
      () => this.#send('ADD_MEM_REG', this.#slot(), [this.#file()]),
      () => this.#send('REM_MEM_REG', this.#slot()),
      () => this.#setUpRing(queue),
      () => this.#setUpRing(queue),
      () => this.#send('SET_VRING_NUM', state(this.#random.pick([0, 8, 16, 17, 65536]))),
      () => this.#send('SET_VRING_BASE', state(this.#random.pick([0, 3, 0x8000, 70_000]))),
      () => this.#setAddress(queue, this.#random.pick([0, 1, 0x800])),
      () => this.#sendFd('SET_VRING_KICK', u64(queue), createEventFd()),
      () => this.#sendFd('SET_VRING_CALL', u64(queue), createEventFd()),
      () => this.#send('SET_VRING_CALL', u64(queue | wire.VRING_FD_NONE)),
      () => this.#sendFd('SET_VRING_ERR', u64(queue), createEventFd()),
      () => this.#send('SET_VRING_ENABLE', state(this.#random.below(2))),
      () => this.#send('GET_VRING_BASE', state(0)),
      () => this.#send('RESET_OWNER'),
      () => this.#send('SET_STATUS', u64(this.#random.pick([0, 15]))),
      () => this.#openChannel(),
      () => this.#translate(wire.IotlbType.UPDATE),
      () => this.#translate(wire.IotlbType.INVALIDATE),
    ])();
    this.#readAnswers();
  }

  #negotiate(): void {
    const protocol = PROTOCOL.filter(() => this.#random.chance(0.8));
    const bits = protocol.map((name) => wire.ProtocolFeature[name]);
    this.#send('SET_PROTOCOL_FEATURES', wire.writeU64(maskOf(bits)));
    if (protocol.includes('BACKEND_REQ') && this.#random.chance(0.8)) this.#openChannel();
    const features = FEATURES.filter(() => this.#random.chance(0.7));
    this.#send('SET_FEATURES', wire.writeU64(maskOf(features)));
  }

  #openChannel(): void {
    const [ours, theirs] = createSocketPair();
    if (this.#channel !== -1) closeSync(this.#channel);
    this.#channel = ours;
    this.#sendFd('SET_BACKEND_REQ_FD', new Uint8Array(0), theirs);
  }

  #setMemoryTable(): void {
    const count = this.#random.between(1, REGIONS_MAX);
    const payload = new Uint8Array(8 + count * wire.MEMORY_REGION_SIZE);
    wire.viewOf(payload).setUint32(0, count, true);
    for (let index = 0; index < count; index++) {
      payload.set(wire.writeMemoryRegion(regionOf(index)), 8 + index * wire.MEMORY_REGION_SIZE);
    }
    this.#send('SET_MEM_TABLE', payload, this.#files.slice(0, count));
    for (let index = 0; index < count; index++) this.#translateRegion(index);
  }

  #slot(): Uint8Array {
    const payload = new Uint8Array(8 + wire.MEMORY_REGION_SIZE);
    payload.set(wire.writeMemoryRegion(regionOf(this.#random.below(REGIONS_MAX))), 8);
    return payload;
  }

  #file(): number {
    return this.#random.pick(this.#files);
  }

  #setUpRing(queue: number): void {
    this.#send('SET_VRING_NUM', wire.writeVringState(queue, this.#random.pick([8, 16])));
    this.#setAddress(queue, 0);
    this.#sendFd('SET_VRING_CALL', wire.writeU64(BigInt(queue)), createEventFd());
    this.#sendFd('SET_VRING_KICK', wire.writeU64(BigInt(queue)), createEventFd());
    this.#send('SET_VRING_ENABLE', wire.writeVringState(queue, 1));
  }

  #setAddress(queue: number, shift: number): void {
    const start = userAddressOf(this.#random.chance(0.8) ? 0 : this.#random.below(REGIONS_MAX));
    const at = (page: number) => start + BigInt((queue * 4 + page) * PAGE + shift);
    const parts = { descriptors: at(0), avail: at(1), used: at(2), log: 0n };
    this.#send('SET_VRING_ADDR', wire.writeVringAddress({ index: queue, flags: 0, ...parts }));
  }

  /** Behind an IOMMU, the guest uses the front-end's addresses. */
  #translateRegion(index: number): void {
    const whole = { iova: userAddressOf(index), sizeBytes: BigInt(REGION_SIZE), access: 3 };
    const type = wire.IotlbType.UPDATE;
    const payload = wire.writeIotlb({ type, userAddress: userAddressOf(index), ...whole });
    this.#send('IOTLB_MSG', payload);
  }

  #translate(type: number): void {
    const index = this.#random.below(REGIONS_MAX);
    const page = BigInt(this.#random.below(24) * PAGE);
    const iova = userAddressOf(index) + page;
    const sizeBytes = BigInt(PAGE * this.#random.pick([1, 4]));
    const access = this.#random.pick([1, 3]);
    this.#send('IOTLB_MSG', wire.writeIotlb({ type, iova, sizeBytes, userAddress: iova, access }));
  }

  #sendFd(request: wire.RequestName, payload: Uint8Array, fd: number): void {
    this.#send(request, payload, [fd]);
    closeSync(fd);
  }

  #send(
    request: wire.RequestName,
    payload: Uint8Array = new Uint8Array(0),
    fds: readonly number[] = [],
  ): void {
    if (!this.isConnected) return;
    const id = wire.FrontendRequest[request];
    try {
      sendMessage(this.#fd, wire.writeMessage(id, wire.FLAG_NEED_REPLY, payload), fds);
    } catch {
      this.disconnect(); // the NIC has closed the connection
    }
  }

  #readAnswers(): void {
    for (const fd of [this.#fd, this.#channel]) {
      try {
        while (fd !== -1 && receiveMessage(fd, 4096).length > 0);
      } catch {
        return;
      }
    }
  }
}

function userAddressOf(index: number): bigint {
  return BigInt(0x7000_0000 + index * 0x100_0000);
}

function regionOf(index: number): wire.MemoryRegionMessage {
  const guestAddress = BigInt(index * REGION_SIZE);
  const sizeBytes = BigInt(REGION_SIZE);
  return { guestAddress, sizeBytes, userAddress: userAddressOf(index), fileOffset: 0n };
}
