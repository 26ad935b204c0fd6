// A guest's end of one VF, made for speed: its frames are written once, and afterwards only ring
// indexes move. So its cost per frame is close to zero, and the switch is what is measured.
//
//   transmit ring: descriptor i ─► frame i, for ever; entry i of the available ring says i.
//                  To send n frames is to add n to the available index.
//   receive ring:  likewise; to take n buffers and offer them again is to add n.
//
// This needs a device that returns buffers in order, as all of these do, negotiated or not. The
// order is checked whenever a ring is read.

import {
  NET_HEADER_SIZE,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MQ,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import {
  AVAIL_F_NO_INTERRUPT,
  DESCRIPTOR_F_WRITE,
  USED_F_NO_NOTIFY,
} from '../../layout/virtqueue.ts';
import { createEventFd, raiseEventFd } from '../../src/os/event-fd.ts';
import { macText } from '../../src/testing/frames.ts';
import type { FrontEnd } from '../../src/testing/front-end.ts';
import { GuestMemory, type GuestMemoryOptions, type Span } from '../../src/testing/guest-memory.ts';
import {
  enableRing,
  type Negotiated,
  negotiate,
  type RingFds,
  shareMemory,
  startRing,
} from '../../src/testing/handshake.ts';
import { SplitQueue } from '../../src/testing/split-queue.ts';
import { ProtocolFeature } from '../../src/vhost-user/message.ts';
import { CyclicSizes } from './cyclic-sizes.ts';
import type { SuperFramePlan } from './protocol.ts';
import { createSuperFrame, superFrameBytes, superFrameWireBytes } from './super-frame.ts';
import { checkOrder, indexOf, TransmitQueue } from './transmit-queue.ts';

/** As in DPDK's mbufs: the frame starts on a cache line, and the header ends before it. */
const headroom = 128;
const bufferSize = 2304;
const cacheLine = 64;
const megabyte = 1 << 20;
const hugePage = 2 * megabyte;
/** What the NIC maps at a time, in one of its window slots. */
const chunkSize = 4 * megabyte;
const scatteredBase = 0x1_0000_0000;
const receiveQueue = 0;
const transmitQueue = 1;
/** The last byte of a frame's source address. */
const sourceEnd = 11;
const transmittedEtherType = 0x88b5;
/** About 4 MiB: several congestion windows of TCP between virtual machines. */
const superFrameRingSize = 64;
const offloads = [
  ...[VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4],
  ...[VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4],
];

export interface PortPlan {
  readonly mac: Uint8Array;
  readonly peerMac: Uint8Array;
  readonly ringSize: number;
  /** Lengths of the frames without checksum, assigned to the ring's entries in turn. */
  readonly frameBytes: readonly number[];
  /** Number of 4 MiB chunks over which the buffers of each ring are spread; null: contiguous. */
  readonly chunks: number | null;
  readonly hasHugePages: boolean;
  readonly superFrames: SuperFramePlan | null;
  /** Default: 1. */
  readonly queuePairs?: number;
}

export class Port {
  readonly negotiated: Negotiated;
  readonly transmitRingSize: number;
  received = 0;
  /** Of queue pair 0 first. The others have no receive rings: their ports only send. */
  readonly transmits: readonly TransmitQueue[];
  /** What a frame takes on a wire, by its place in a transmit ring. */
  readonly sizes: CyclicSizes;
  readonly #plan: PortPlan;
  readonly #memory: GuestMemory;
  readonly #transmit: TransmitQueue;
  readonly #receive: SplitQueue;
  readonly #receiveFds: RingFds = { kick: createEventFd(), call: createEventFd() };
  readonly #receiveUsed: number;
  readonly #receiveAvail: number;
  readonly #receiveRingSize: number;
  readonly #buffersPerFrame: number;
  readonly #superFrame: Uint8Array | null;
  /** Of each receive buffer, where its frame begins. */
  readonly #frameStarts: Int32Array;
  #buffersReceived = 0;

  static async start(frontEnd: FrontEnd, plan: PortPlan): Promise<Port> {
    const able = plan.superFrames === null ? [] : offloads;
    const pairs = queuePairsOf(plan) > 1 ? [VIRTIO_NET_F_MQ] : [];
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF, ...able, ...pairs];
    // Without STATUS: with it, DPDK waits for a driver's DRIVER_OK, which is of no use here.
    const protocol = [ProtocolFeature.REPLY_ACK, ...(pairs.length > 0 ? [ProtocolFeature.MQ] : [])];
    const port = new Port(await negotiate(frontEnd, features, protocol), plan);
    await shareMemory(frontEnd, port.#memory, port.negotiated);
    await start(frontEnd, receiveQueue, port.#receive, port.#receiveFds);
    for (const [pair, { ring, fds }] of port.transmits.entries()) {
      await start(frontEnd, 2 * pair + transmitQueue, ring, fds);
    }
    await frontEnd.ask('GET_FEATURES');
    port.#offerAllBuffers();
    return port;
  }

  private constructor(negotiated: Negotiated, plan: PortPlan) {
    this.negotiated = negotiated;
    this.#plan = plan;
    const { transmit, receive, buffersPerFrame } = shapesOf(plan);
    this.transmitRingSize = transmit.ringSize;
    this.#receiveRingSize = receive.ringSize;
    this.#buffersPerFrame = buffersPerFrame;
    const { mac, peerMac, superFrames, frameBytes } = plan;
    const isSuper = superFrames !== null;
    this.#superFrame = isSuper ? createSuperFrame(macText(peerMac), macText(mac)) : null;
    this.sizes = new CyclicSizes(transmit.ringSize, isSuper ? [superFrameWireBytes] : frameBytes);
    this.#memory = new GuestMemory(memoryOptions(plan));
    this.transmits = Array.from({ length: queuePairsOf(plan) }, () => {
      const ring = new SplitQueue(this.#memory, { size: transmit.ringSize });
      return new TransmitQueue(this.#memory, ring);
    });
    this.#transmit = this.transmits[0]!;
    this.#receive = new SplitQueue(this.#memory, { size: receive.ringSize });
    this.#frameStarts = new Int32Array(receive.ringSize);
    this.#receiveUsed = indexOf(this.#receive.used.offset);
    this.#receiveAvail = indexOf(this.#receive.avail.offset);
    if (plan.chunks !== null) {
      const sizeBytes = plan.chunks * chunkSize;
      this.#memory.addRegion({ guestAddress: scatteredBase, sizeBytes });
    }
    for (const { ring } of this.transmits) this.#prepareRing(ring, true);
    this.#prepareRing(this.#receive, false);
  }

  /** The last byte of its address. */
  get number(): number {
    return this.#plan.mac[5]!;
  }

  get sent(): number {
    return this.#transmit.sent;
  }

  /** Room in the transmit ring. Checks that buffers came back in order. */
  get room(): number {
    return this.transmitRingSize - this.#transmit.outstanding;
  }

  /** Puts `count` frames on the ring; there must be room. Kicks if the device wants it. */
  transmit(count: number): void {
    this.#transmit.transmit(count);
  }

  /** Takes what has arrived and offers the buffers again. Returns the number of frames. */
  receive(): number {
    const { u16 } = this.#memory;
    const buffers = (Atomics.load(u16, this.#receiveUsed) - this.#buffersReceived) & 0xffff;
    if (buffers === 0) return 0;
    checkOrder(this.#memory, this.#receive, this.#buffersReceived + buffers - 1);
    this.#buffersReceived += buffers;
    const offered = this.#buffersReceived + this.#receiveRingSize;
    Atomics.store(u16, this.#receiveAvail, offered & 0xffff);
    if ((Atomics.load(u16, this.#receiveUsed - 1) & USED_F_NO_NOTIFY) === 0) {
      raiseEventFd(this.#receiveFds.kick);
    }
    const before = this.received;
    this.received = Math.floor(this.#buffersReceived / this.#buffersPerFrame);
    return this.received - before;
  }

  /** The same; the number of those frames whose sender's address ends with this byte. */
  receiveFrom(sender: number): number {
    const first = this.#buffersReceived;
    this.receive();
    let count = 0;
    for (let turn = first; turn < this.#buffersReceived; turn += 1) {
      const start = this.#frameStarts[turn & (this.#receiveRingSize - 1)]!;
      if (this.#memory.bytes[start + sourceEnd] === sender) count += 1;
    }
    return count;
  }

  #offerAllBuffers(): void {
    Atomics.store(this.#memory.u16, this.#receiveAvail, this.#receiveRingSize);
    raiseEventFd(this.#receiveFds.kick);
  }

  #prepareRing(ring: SplitQueue, isTransmit: boolean): void {
    const { u16 } = this.#memory;
    u16[ring.avail.offset >> 1] = AVAIL_F_NO_INTERRUPT;
    const { transmit, receive } = shapesOf(this.#plan);
    const room = (isTransmit ? transmit : receive).bufferBytes;
    for (let entry = 0; entry < ring.size; entry += 1) {
      const span = this.#bufferOf(entry, isTransmit, headroom + room - NET_HEADER_SIZE);
      if (!isTransmit) this.#frameStarts[entry] = span.offset + headroom;
      const length = isTransmit ? NET_HEADER_SIZE + this.#writeFrame(span, entry) : room;
      ring.writeDescriptor(entry, {
        address: BigInt(span.address + headroom - NET_HEADER_SIZE),
        length,
        flags: isTransmit ? 0 : DESCRIPTOR_F_WRITE,
      });
      u16[(ring.avail.offset >> 1) + 2 + entry] = entry;
    }
  }

  /** Contiguous, or each in the chunk after that of the previous one, cyclically. */
  #bufferOf(entry: number, isTransmit: boolean, length: number): Span {
    const { chunks } = this.#plan;
    if (chunks === null) return this.#memory.allocate(length, cacheLine);
    // The two rings use the same chunks, at different offsets.
    const row = 2 * Math.floor(entry / chunks) + (isTransmit ? 1 : 0);
    const inside = (entry % chunks) * chunkSize + row * bufferSize;
    return this.#memory.spanAt(scatteredBase + inside, bufferSize);
  }

  #writeFrame(span: Span, entry: number): number {
    const { bytes, view } = this.#memory;
    const { frameBytes, mac, peerMac } = this.#plan;
    const at = span.offset + headroom;
    if (this.#superFrame !== null) {
      bytes.set(this.#superFrame, at - NET_HEADER_SIZE);
      return superFrameBytes;
    }
    bytes.set(peerMac, at);
    bytes.set(mac, at + 6);
    view.setUint16(at + 12, transmittedEtherType);
    return frameBytes[entry % frameBytes.length]!;
  }
}

async function start(
  frontEnd: FrontEnd,
  queue: number,
  ring: SplitQueue,
  fds: RingFds,
): Promise<void> {
  await startRing(frontEnd, queue, ring, fds);
  await enableRing(frontEnd, queue, true);
}

function queuePairsOf({ queuePairs = 1 }: PortPlan): number {
  return queuePairs;
}

interface RingShape {
  readonly ringSize: number;
  /** Header and frame. */
  readonly bufferBytes: number;
}

interface Shapes {
  readonly transmit: RingShape;
  readonly receive: RingShape;
  readonly buffersPerFrame: number;
}

function shapesOf({ ringSize, superFrames }: PortPlan): Shapes {
  if (superFrames === null) {
    const shape = { ringSize, bufferBytes: bufferSize - headroom + NET_HEADER_SIZE };
    return { transmit: shape, receive: shape, buffersPerFrame: 1 };
  }
  const bufferBytes = NET_HEADER_SIZE + superFrameBytes;
  const { receiveBufferBytes } = superFrames;
  const buffersPerFrame = Math.ceil(bufferBytes / receiveBufferBytes);
  // As much memory as the transmit ring has, as far as a power of two allows.
  const doublings = Math.floor(Math.log2(buffersPerFrame));
  return {
    transmit: { ringSize: superFrameRingSize, bufferBytes },
    receive: { ringSize: superFrameRingSize << doublings, bufferBytes: receiveBufferBytes },
    buffersPerFrame,
  };
}

function memoryOptions(plan: PortPlan): GuestMemoryOptions {
  const { chunks, hasHugePages } = plan;
  const { transmit, receive } = shapesOf(plan);
  const bytesOf = ({ ringSize, bufferBytes }: RingShape) =>
    ringSize * (bufferBytes + headroom + cacheLine);
  const dense = queuePairsOf(plan) * bytesOf(transmit) + bytesOf(receive) + megabyte;
  const sizeBytes = Math.ceil(dense / hugePage) * hugePage;
  const regions = [{ guestAddress: 0, sizeBytes }];
  // No gaps: real drivers have none either, and cache lines matter here.
  const common = { hugePages: hasHugePages, gapBytesMax: 0 };
  if (chunks === null) return { ...common, regions };
  // Room for the scattered region, which is added after the rings are allocated.
  return { ...common, regions, mappedBytesMax: sizeBytes + (chunks + 2) * chunkSize };
}
