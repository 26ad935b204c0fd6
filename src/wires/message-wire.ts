// Sockets with one frame per message: packet sockets, QEMU's dgram, a VDE switch. Many frames go in
// one system call, each in its own place in the port's memory:
//
//   place ─► │ 4 free │ virtio-net header, 12 │ frame …      a VLAN tag that the kernel stripped is
//            └────────┴───────────────────────┴──────        put back into the 4 free bytes

import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import {
  EAGAIN,
  EINTR,
  EINVAL,
  EMSGSIZE,
  ENETDOWN,
  ENOBUFS,
  ENOMEM,
  ENXIO,
  EPERM,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
} from '../os/constants.ts';
import { c, errno } from '../os/libc.ts';
import { PACKET_AUXDATA, SOL_PACKET, sendBufferBytes, unsentBytes } from '../os/packet-socket.ts';
import { errorName } from '../os/system-error.ts';
import { DatagramPeer, type DatagramPeerSettings, PEER_ADDRESS_SIZE } from './datagram-peer.ts';
import { IoVector, putAddress, takeAddress } from './io-vector.ts';
import { type LongFrameSettings, LongFrames, SLOT_WORDS_SIZE } from './long-frames.ts';
import {
  BUFFERS,
  FRAME_ROOM,
  type PairMemory,
  STAGING,
  STRUCTURES,
  WIRE_MALFORMED,
} from './port-memory.ts';
import { hasStrippedTag, restoreTag, VLAN_TAG_SIZE } from './stripped-tag.ts';
import { BURST_MAX, countRefused, countTooLong, type FrameList, type Wire } from './wire.ts';

const FRAME_OFFSET = VLAN_TAG_SIZE + NET_HEADER_SIZE;

// struct mmsghdr: msghdr of 56 bytes, then the length of the message.
const MESSAGE_SIZE = 64;
const MESSAGE_NAME = 0;
const MESSAGE_NAME_SIZE = 8;
const MESSAGE_PARTS = 16;
const MESSAGE_PARTS_COUNT = 24;
const MESSAGE_CONTROL = 32;
const MESSAGE_CONTROL_SIZE = 40;
const MESSAGE_FLAGS = 48;
const MESSAGE_LENGTH = 56;
const MSG_TRUNC = 0x20;

// cmsghdr of 16 bytes, then struct tpacket_auxdata of 20.
const CONTROL_SIZE = 64;
const AUX_STATUS = 16;
const AUX_TCI = 32;
const AUX_TPID = 34;

const RECEIVED_MESSAGES = STRUCTURES;
const SENT_MESSAGES = RECEIVED_MESSAGES + BURST_MAX * MESSAGE_SIZE;
const CONTROLS = SENT_MESSAGES + BURST_MAX * MESSAGE_SIZE;
const RECEIVED_PARTS = CONTROLS + BURST_MAX * CONTROL_SIZE;
const PEER_ADDRESS = RECEIVED_PARTS + BURST_MAX * 32;
const LONG_WORDS = PEER_ADDRESS + PEER_ADDRESS_SIZE;
const SENT_PARTS = LONG_WORDS + SLOT_WORDS_SIZE * 2;
const SENT_PARTS_MAX = (STAGING - SENT_PARTS) / 16;
/** Of one frame: those of the largest list of pieces, and the header. */
const FRAME_PARTS_MAX = 512;

/** Errors that concern this frame only; the next one may pass. */
const REFUSALS: readonly number[] = [EINVAL, ENOBUFS, ENOMEM, ENETDOWN, ENXIO, EPERM];

export interface MessageSettings {
  kind: 'message';
  fd: number;
  /** Bytes of virtio-net header before each frame in the socket: 0, or 10. */
  headerSize: number;
  /** The destination, if the socket is not connected. */
  peer?: DatagramPeerSettings;
  /** How to send frames that messages cannot carry. */
  long?: LongFrameSettings | undefined;
}

export class MessageWire implements Wire {
  readonly fd: number;
  roomFd: number;
  isReadable = true;
  failure: string | null = null;
  readonly #memory: PairMemory;
  readonly #headerSize: number;
  readonly #peer: DatagramPeer | null;
  readonly #long: LongFrames | null;
  readonly #received: IoVector;
  readonly #sent: IoVector;
  readonly #sendBufferBytes: number;
  /** Bytes in the send buffer at the last check, and whether that may have changed since. */
  #unsentBytes = 0;
  #hasSent = false;

  constructor(settings: Omit<MessageSettings, 'kind'>, memory: PairMemory) {
    const { fd, headerSize, peer, long } = settings;
    this.fd = fd;
    this.roomFd = fd;
    this.#headerSize = headerSize;
    this.#peer = peer === undefined ? null : new DatagramPeer(fd, peer, memory, PEER_ADDRESS);
    this.#long = long === undefined ? null : new LongFrames(long, memory, LONG_WORDS);
    this.#memory = memory;
    this.#received = new IoVector(memory, RECEIVED_PARTS);
    this.#sent = new IoVector(memory, SENT_PARTS);
    this.#sendBufferBytes = headerSize > 0 ? sendBufferBytes(fd) : 0;
  }

  /**
   * The kernel's overhead for a large frame is less than its data, so half of the free space can be
   * lent. Only sockets with a virtio-net header have large frames that are worth it.
   */
  get lendableBytes(): number {
    if (this.#headerSize === 0) return 0;
    if (this.#hasSent) this.#unsentBytes = unsentBytes(this.fd);
    this.#hasSent = this.#unsentBytes > 0;
    return Math.max(0, (this.#sendBufferBytes - this.#unsentBytes) >> 1);
  }

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    const places = Math.min(limit, BURST_MAX, Math.floor((to - from) / FRAME_ROOM));
    if (places === 0) return;
    this.#offerPlaces(from, places);
    const messages = this.#memory.address + RECEIVED_MESSAGES;
    const count = c.recvmmsg(this.fd, messages, places, MSG_DONTWAIT, 0);
    if (count === -1) {
      this.isReadable = false;
      this.#judge(errno());
      return;
    }
    for (let i = 0; i < count; i++) this.#take(frames, i, from + i * FRAME_ROOM);
  }

  send(frames: FrameList): number {
    this.#hasSent = true;
    for (let done = 0; done < frames.count; ) {
      const end = this.#describe(frames, done);
      const reached = this.#sendDescribed(frames, done, end);
      if (reached < end) return reached;
      done = end;
    }
    return frames.count;
  }

  #sendDescribed(frames: FrameList, from: number, end: number): number {
    const messages = this.#memory.address + SENT_MESSAGES;
    let done = from;
    while (done < end) {
      const at = messages + done * MESSAGE_SIZE;
      const count = c.sendmmsg(this.fd, at, end - done, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) {
        done += count;
        continue;
      }
      let error = errno();
      if (error === EAGAIN || error === EINTR) {
        this.#findRoom();
        return done;
      }
      if (error === EMSGSIZE && this.#long !== null) error = this.#sendLong(this.#long, done);
      if (error === EAGAIN) return done;
      if (error !== 0 && !this.#refuse(frames, done, error)) return done;
      done += 1;
    }
    return done;
  }

  /** Returns 0, or an error. */
  #sendLong(long: LongFrames, index: number): number {
    const { words, address } = this.#memory;
    const message = (SENT_MESSAGES + index * MESSAGE_SIZE) / 4;
    const parts = takeAddress(words, message + MESSAGE_PARTS / 4) - address;
    const error = long.send(parts / 4, words[message + MESSAGE_PARTS_COUNT / 4] ?? 0);
    if (error === EAGAIN) this.roomFd = long.fd;
    return error;
  }

  /** Counts a frame that cannot be sent. False if nothing can be sent any more. */
  #refuse(frames: FrameList, index: number, error: number): boolean {
    const size = (frames.lengths[index] ?? 0) + (frames.wrapped[index] ?? 0) - NET_HEADER_SIZE;
    if (error === EMSGSIZE) countTooLong(this.#memory.counters, size);
    else if (REFUSALS.includes(error)) countRefused(this.#memory.counters, size);
    else this.failure = `sending failed (${errorName(error)})`;
    return this.failure === null;
  }

  #findRoom(): void {
    this.roomFd = this.fd;
    if (this.#peer === null) return;
    const roomFd = this.#peer.findRoomFd();
    if (roomFd >= 0) this.roomFd = roomFd;
    else this.failure = `sending failed (${errorName(-roomFd)})`;
  }

  #offerPlaces(from: number, places: number): void {
    const { words, bytes } = this.#memory;
    this.#received.clear();
    for (let i = 0; i < places; i++) {
      const place = from + i * FRAME_ROOM;
      const header = place + VLAN_TAG_SIZE;
      let parts: number;
      if (this.#headerSize > 0) {
        parts = this.#received.add(header, this.#headerSize);
        this.#received.add(place + FRAME_OFFSET, FRAME_ROOM - FRAME_OFFSET);
      } else {
        bytes.fill(0, header, header + NET_HEADER_SIZE);
        parts = this.#received.add(place + FRAME_OFFSET, FRAME_ROOM - FRAME_OFFSET);
      }
      const message = (RECEIVED_MESSAGES + i * MESSAGE_SIZE) / 4;
      putAddress(words, message + MESSAGE_PARTS / 4, parts);
      putAddress(words, message + MESSAGE_PARTS_COUNT / 4, this.#headerSize > 0 ? 2 : 1);
      const control = CONTROLS + i * CONTROL_SIZE;
      words[(control + AUX_STATUS) / 4] = 0;
      const hasControl = this.#headerSize > 0;
      putAddress(
        words,
        message + MESSAGE_CONTROL / 4,
        hasControl ? this.#memory.address + control : 0,
      );
      putAddress(words, message + MESSAGE_CONTROL_SIZE / 4, hasControl ? CONTROL_SIZE : 0);
    }
  }

  #take(frames: FrameList, index: number, place: number): void {
    const { words, counters } = this.#memory;
    const message = (RECEIVED_MESSAGES + index * MESSAGE_SIZE) / 4;
    const length = (words[message + MESSAGE_LENGTH / 4] ?? 0) - this.#headerSize;
    const isCut = ((words[message + MESSAGE_FLAGS / 4] ?? 0) & MSG_TRUNC) !== 0;
    if (isCut || length < 0) {
      counters[WIRE_MALFORMED] = (counters[WIRE_MALFORMED] ?? 0) + 1;
      return;
    }
    const isTagged = this.#headerSize > 0 && this.#restoreTag(index, place);
    const start = isTagged ? place : place + VLAN_TAG_SIZE;
    frames.add(start, NET_HEADER_SIZE + length + (isTagged ? VLAN_TAG_SIZE : 0), 0);
  }

  /** Puts a VLAN tag, which the kernel delivers separately, back after the addresses. */
  #restoreTag(index: number, place: number): boolean {
    const { view } = this.#memory;
    const control = CONTROLS + index * CONTROL_SIZE;
    const isAux =
      view.getUint32(control + 8, true) === SOL_PACKET &&
      view.getUint32(control + 12, true) === PACKET_AUXDATA;
    const status = view.getUint32(control + AUX_STATUS, true);
    if (!isAux || !hasStrippedTag(status)) return false;
    const tci = view.getUint16(control + AUX_TCI, true);
    restoreTag(view, place, status, tci, view.getUint16(control + AUX_TPID, true));
    return true;
  }

  /** Fills in the messages, starting at a frame. Returns the first that has no room. */
  #describe(frames: FrameList, from: number): number {
    const { words } = this.#memory;
    const peer = this.#peer?.address ?? 0;
    const peerSize = this.#peer?.addressSize ?? 0;
    this.#sent.clear();
    let i = from;
    for (; i < frames.count && this.#sent.count + FRAME_PARTS_MAX <= SENT_PARTS_MAX; i++) {
      const before = this.#sent.count;
      const message = (SENT_MESSAGES + i * MESSAGE_SIZE) / 4;
      putAddress(words, message + MESSAGE_NAME / 4, peer);
      words[message + MESSAGE_NAME_SIZE / 4] = peerSize;
      putAddress(words, message + MESSAGE_PARTS / 4, this.#sent.nextAddress);
      this.#describeParts(frames, i);
      putAddress(words, message + MESSAGE_PARTS_COUNT / 4, this.#sent.count - before);
    }
    return i;
  }

  #describeParts(frames: FrameList, index: number): void {
    const start = frames.starts[index] ?? 0;
    const length = frames.lengths[index] ?? 0;
    const wrapped = frames.wrapped[index] ?? 0;
    const pieces = frames.pieces[index] ?? 0;
    if (this.#headerSize > 0) this.#sent.add(start, this.#headerSize);
    if (pieces > 0) {
      this.#sent.addPieces(start + NET_HEADER_SIZE, pieces);
      return;
    }
    this.#sent.add(start + NET_HEADER_SIZE, length - NET_HEADER_SIZE);
    if (wrapped > 0) this.#sent.add(BUFFERS, wrapped);
  }

  #judge(error: number): void {
    // ENETDOWN: the interface went down; its watcher reports that, and when it is back.
    if (error === EAGAIN || error === EINTR || error === ENETDOWN) return;
    this.failure = `receiving failed (${errorName(error)})`;
  }
}
