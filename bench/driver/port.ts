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
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import {
  AVAIL_F_NO_INTERRUPT,
  DESCRIPTOR_F_WRITE,
  USED_ELEMENT_SIZE,
  USED_F_NO_NOTIFY,
  USED_RING,
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
import type { SuperFramePlan } from './protocol.ts';
import { createSuperFrame, superFrameBytes } from './super-frame.ts';

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
const transmittedEtherType = 0x88b5;
/** About 4 MiB: several congestion windows of TCP between virtual machines. */
const superFrameRingSize = 64;
const offloads = [
  ...[VIRTIO_NET_F_CSUM, VIRTIO_NET_F_HOST_TSO4],
  ...[VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4],
];

/** Without STATUS: with it, DPDK waits for a driver's DRIVER_OK, which is of no use here. */
const protocolFeatures = [ProtocolFeature.REPLY_ACK];

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
}

export class Port {
  readonly negotiated: Negotiated;
  readonly transmitRingSize: number;
  sent = 0;
  received = 0;
  kicks = 0;
  readonly #plan: PortPlan;
  readonly #memory: GuestMemory;
  readonly #transmit: SplitQueue;
  readonly #receive: SplitQueue;
  readonly #fds: RingFds[] = [];
  readonly #transmitUsed: number;
  readonly #receiveUsed: number;
  readonly #transmitAvail: number;
  readonly #receiveAvail: number;
  readonly #receiveRingSize: number;
  readonly #buffersPerFrame: number;
  readonly #superFrame: Uint8Array | null;
  #buffersReceived = 0;

  static async start(frontEnd: FrontEnd, plan: PortPlan): Promise<Port> {
    const able = plan.superFrames === null ? [] : offloads;
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF, ...able];
    const port = new Port(await negotiate(frontEnd, features, protocolFeatures), plan);
    await shareMemory(frontEnd, port.#memory, port.negotiated);
    const rings = [port.#receive, port.#transmit];
    for (const [queue, ring] of rings.entries()) {
      const fds = { kick: createEventFd(), call: createEventFd() };
      port.#fds.push(fds);
      await startRing(frontEnd, queue, ring, fds);
      await enableRing(frontEnd, queue, true);
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
    const { mac, peerMac, superFrames } = plan;
    const isSuper = superFrames !== null;
    this.#superFrame = isSuper ? createSuperFrame(macText(peerMac), macText(mac)) : null;
    this.#memory = new GuestMemory(memoryOptions(plan));
    this.#transmit = new SplitQueue(this.#memory, { size: transmit.ringSize });
    this.#receive = new SplitQueue(this.#memory, { size: receive.ringSize });
    const index = (span: Span) => (span.offset >> 1) + 1;
    this.#transmitUsed = index(this.#transmit.used);
    this.#receiveUsed = index(this.#receive.used);
    this.#transmitAvail = index(this.#transmit.avail);
    this.#receiveAvail = index(this.#receive.avail);
    if (plan.chunks !== null) {
      const sizeBytes = plan.chunks * chunkSize;
      this.#memory.addRegion({ guestAddress: scatteredBase, sizeBytes });
    }
    this.#prepareRing(this.#transmit, true);
    this.#prepareRing(this.#receive, false);
  }

  /** Room in the transmit ring. Checks that buffers came back in order. */
  get room(): number {
    return this.transmitRingSize - this.#outstanding();
  }

  /** Puts `count` frames on the ring; there must be room. Kicks if the device wants it. */
  transmit(count: number): void {
    this.sent += count;
    Atomics.store(this.#memory.u16, this.#transmitAvail, this.sent & 0xffff);
    if ((Atomics.load(this.#memory.u16, this.#transmitUsed - 1) & USED_F_NO_NOTIFY) === 0) {
      this.#kick(transmitQueue);
    }
  }

  /** Takes what has arrived and offers the buffers again. Returns the number of frames. */
  receive(): number {
    const { u16 } = this.#memory;
    const buffers = (Atomics.load(u16, this.#receiveUsed) - this.#buffersReceived) & 0xffff;
    if (buffers === 0) return 0;
    this.#checkOrder(this.#receive, this.#buffersReceived + buffers - 1);
    this.#buffersReceived += buffers;
    const offered = this.#buffersReceived + this.#receiveRingSize;
    Atomics.store(u16, this.#receiveAvail, offered & 0xffff);
    if ((Atomics.load(u16, this.#receiveUsed - 1) & USED_F_NO_NOTIFY) === 0) {
      this.#kick(receiveQueue);
    }
    const before = this.received;
    this.received = Math.floor(this.#buffersReceived / this.#buffersPerFrame);
    return this.received - before;
  }

  #outstanding(): number {
    const used = Atomics.load(this.#memory.u16, this.#transmitUsed);
    const outstanding = (this.sent - used) & 0xffff;
    if (outstanding > this.transmitRingSize)
      throw new Error(`the device returned more than it got`);
    if (outstanding < (this.sent & 0xffff) || this.sent > 0xffff) {
      this.#checkOrder(this.#transmit, this.sent - outstanding - 1);
    }
    return outstanding;
  }

  /** The newest entry of the used ring must be the buffer that is next in order. */
  #checkOrder(ring: SplitQueue, turn: number): void {
    const place = turn & (ring.size - 1);
    const at = (ring.used.offset + USED_RING + place * USED_ELEMENT_SIZE) >> 2;
    const head = this.#memory.u32[at];
    if (head !== place) throw new Error(`the device returned buffer ${head} instead of ${place}`);
  }

  #kick(queue: number): void {
    this.kicks += 1;
    raiseEventFd(this.#fds[queue]!.kick);
  }

  #offerAllBuffers(): void {
    Atomics.store(this.#memory.u16, this.#receiveAvail, this.#receiveRingSize);
    this.#kick(receiveQueue);
  }

  #prepareRing(ring: SplitQueue, isTransmit: boolean): void {
    const { u16 } = this.#memory;
    u16[ring.avail.offset >> 1] = AVAIL_F_NO_INTERRUPT;
    const { transmit, receive } = shapesOf(this.#plan);
    const room = (isTransmit ? transmit : receive).bufferBytes;
    for (let entry = 0; entry < ring.size; entry += 1) {
      const span = this.#bufferOf(entry, isTransmit, headroom + room - NET_HEADER_SIZE);
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
  const dense = bytesOf(transmit) + bytesOf(receive) + megabyte;
  const sizeBytes = Math.ceil(dense / hugePage) * hugePage;
  const regions = [{ guestAddress: 0, sizeBytes }];
  // No gaps: real drivers have none either, and cache lines matter here.
  const common = { hugePages: hasHugePages, gapBytesMax: 0 };
  if (chunks === null) return { ...common, regions };
  // Room for the scattered region, which is added after the rings are allocated.
  return { ...common, regions, mappedBytesMax: sizeBytes + (chunks + 2) * chunkSize };
}
