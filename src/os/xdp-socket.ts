// AF_XDP sockets: frames of one queue of an interface, in memory shared with the kernel
// (Documentation/networking/af_xdp.rst).
import {
  EINVAL,
  ENOENT,
  EOPNOTSUPP,
  F_SETFD,
  FD_CLOEXEC,
  MAP_FIXED,
  MAP_POPULATE,
  MAP_SHARED,
  MSG_DONTWAIT,
  PROT_READ,
  PROT_WRITE,
  SOL_XDP,
} from './constants.ts';
import { c, errno } from './libc.ts';
import { loadXdpLibrary, type XdpLibrary } from './libxdp.ts';
import { LinearMemory } from './linear-memory.ts';
import { scratch } from './scratch.ts';
import { SystemError } from './system-error.ts';

const XDP_MMAP_OFFSETS = 1;
const XDP_STATISTICS = 7;
const XDP_OPTIONS = 8;
const XDP_OPTIONS_ZEROCOPY = 1;
const XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD = 1;
const XDP_COPY = 2;
const XDP_ZEROCOPY = 4;
const XDP_USE_NEED_WAKEUP = 8;
const XDP_USE_SG = 16;

/** Bytes that the kernel leaves free before each received frame. */
export const XDP_HEADROOM = 256;

/** Offsets of one ring in its mapping: indices and flags are u32. */
export interface XdpRingOffsets {
  producer: number;
  consumer: number;
  entries: number;
  flags: number;
}

/** As listed by XDP_MMAP_OFFSETS. */
export interface XdpOffsets {
  receive: XdpRingOffsets;
  transmit: XdpRingOffsets;
  fill: XdpRingOffsets;
  completion: XdpRingOffsets;
}

/** Where each ring is in the socket's file. */
export const XDP_RING_FILE_OFFSETS = {
  receive: 0,
  transmit: 0x80000000,
  fill: 0x100000000,
  completion: 0x180000000,
} as const satisfies Record<keyof XdpOffsets, number>;

export interface XdpSocketOptions {
  interface: string;
  queue: number;
  /** The memory of the frames: a range of a memory file. */
  memoryFd: number;
  memoryOffset: number;
  memorySize: number;
  chunkSize: number;
  /** Entries of each of the four rings. */
  ringSize: number;
  /** Chunks (offsets in the memory) that the driver gets for receiving at the start. */
  freeChunks: readonly number[];
  /** Whether frames may use several chunks, if the kernel supports that (6.6). */
  wantsFragments: boolean;
  /** `auto`: if the driver supports it. */
  zeroCopy: 'auto' | 'required' | 'never';
}

const ZERO_COPY_FLAGS = { auto: 0, required: XDP_ZEROCOPY, never: XDP_COPY } as const;

/** The kernel's counters of a socket (struct xdp_statistics: u64 each). */
const STATISTICS_COUNT = 6;

/** Frames that the kernel dropped, by reason, and how often it found a ring of ours empty. */
export interface XdpStatistics {
  drops: {
    /** Received: no free chunk, or another reason of the kernel's. */
    receiveDropped: number;
    /** Received: the fill ring named no valid chunk. */
    receiveInvalid: number;
    /** Received: we were too slow. */
    receiveRingFull: number;
    /** Sent: the descriptor was refused. */
    transmitInvalid: number;
  };
  fillRingEmpty: number;
  transmitRingEmpty: number;
}

// Layout of a socket's memory: what libxdp writes, and what we pass to it.
const HANDLES = 0;
const OPTIONS = 64;
const RINGS = 128;
const RING_STRUCTURE_SIZE = 64;

export class XdpSocket {
  readonly fd: number;
  /** libxdp's pointer to it. */
  readonly handle: number;
  readonly offsets: XdpOffsets;
  /** Whether frames of several chunks were requested, and whether the kernel supports them. */
  readonly wantsFragments: boolean;
  readonly hasFragments: boolean;
  /** The driver accesses our memory directly. */
  readonly isZeroCopy: boolean;
  readonly #xdp: XdpLibrary;
  readonly #umem: number;
  /** libxdp keeps pointers into it for as long as the socket lives. */
  readonly #structures: LinearMemory;

  private constructor(
    xdp: XdpLibrary,
    structures: LinearMemory,
    wantsFragments: boolean,
    hasFragments: boolean,
  ) {
    const view = new DataView(structures.buffer);
    this.#xdp = xdp;
    this.#structures = structures;
    this.wantsFragments = wantsFragments;
    this.hasFragments = hasFragments;
    this.#umem = Number(view.getBigUint64(HANDLES, true));
    this.handle = Number(view.getBigUint64(HANDLES + 8, true));
    this.fd = xdp.socketFd(this.handle);
    c.fcntl(this.fd, F_SETFD, FD_CLOEXEC);
    this.offsets = readOffsets(this.fd);
    this.isZeroCopy = (readOptions(this.fd) & XDP_OPTIONS_ZEROCOPY) !== 0;
  }

  /**
   * Throws a SystemError: EBUSY if the queue already has a socket, EINVAL if there is no such
   * queue, EOPNOTSUPP if zero-copy is required and the driver does not support it.
   */
  static open(options: XdpSocketOptions): XdpSocket {
    const xdp = loadXdpLibrary();
    const { wantsFragments } = options;
    for (const hasFragments of wantsFragments ? [true, false] : [false]) {
      const structures = new LinearMemory(65536);
      const result = create(xdp, structures, options, hasFragments);
      if (result === 0) return new XdpSocket(xdp, structures, wantsFragments, hasFragments);
      if (result !== -EINVAL || !hasFragments) throw refusal(-result, options);
    }
    throw new Error('assertion: the last try returns or throws');
  }

  close(): void {
    this.#xdp.deleteSocket(this.handle);
    this.#xdp.deleteUmem(this.#umem);
    this.#structures.unmap(0, this.#structures.sizeBytes);
  }
}

/** If zero-copy is required, virtio-net reports ENOENT when its rings cannot be reset. */
function refusal(error: number, { zeroCopy }: XdpSocketOptions): SystemError {
  const isUnable = zeroCopy === 'required' && error === ENOENT;
  return new SystemError('AF_XDP socket', isUnable ? EOPNOTSUPP : error);
}

/** Registers the memory and binds the socket: 0 or −errno. Throws a SystemError for the rings. */
function create(
  xdp: XdpLibrary,
  { base, buffer }: LinearMemory,
  options: XdpSocketOptions,
  hasFragments: boolean,
): number {
  const { memoryFd, memoryOffset, memorySize } = options;
  const protection = PROT_READ | PROT_WRITE;
  const area = c.mmap(0, memorySize, protection, MAP_SHARED, memoryFd, memoryOffset);
  if (area === -1) return -errno();
  const words = new Uint32Array(buffer, OPTIONS, 5);
  const ring = (number: number) => base + RINGS + number * RING_STRUCTURE_SIZE;
  words.set([options.ringSize, options.ringSize, options.chunkSize, 0, 0]);
  const umemSize = memorySize;
  const made = xdp.createUmem(base + HANDLES, area, umemSize, ring(0), ring(1), base + OPTIONS);
  // From here on the kernel holds the pages themselves; our mapping does not matter.
  c.munmap(area, memorySize);
  if (made < 0) return made;
  const umem = Number(new DataView(buffer).getBigUint64(HANDLES, true));
  try {
    fillBeforehand(xdp.umemFd(umem), options);
  } catch (error) {
    xdp.deleteUmem(umem);
    throw error;
  }
  const wishes = ZERO_COPY_FLAGS[options.zeroCopy] | (hasFragments ? XDP_USE_SG : 0);
  const flags = XDP_USE_NEED_WAKEUP | wishes;
  words.set([options.ringSize, options.ringSize, XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD, 0, flags]);
  const bound = xdp.createSocket(
    base + HANDLES + 8,
    options.interface,
    options.queue,
    umem,
    ring(2),
    ring(3),
    base + OPTIONS,
  );
  if (bound < 0) xdp.deleteUmem(umem);
  return bound;
}

/**
 * Fills the fill ring. A driver that finds it empty at bind time may never check again (igb),
 * because other programs fill it before.
 */
function fillBeforehand(fd: number, { freeChunks, ringSize }: XdpSocketOptions): void {
  const { entries, producer } = readOffsets(fd).fill;
  const memory = new LinearMemory(65536);
  mapXdpRing(memory.base, entries + ringSize * 8, fd, XDP_RING_FILE_OFFSETS.fill);
  const words = new Uint32Array(memory.buffer);
  for (const [i, address] of freeChunks.entries()) words[entries / 4 + i * 2] = address;
  Atomics.store(words, producer / 4, freeChunks.length);
  memory.unmap(0, memory.sizeBytes);
}

function readOffsets(fd: number): XdpOffsets {
  const size = 4 * 32;
  readOption(fd, XDP_MMAP_OFFSETS, size);
  const ring = (number: number): XdpRingOffsets => {
    const at = (field: number) => Number(scratch.view.getBigUint64(number * 32 + field * 8, true));
    return { producer: at(0), consumer: at(1), entries: at(2), flags: at(3) };
  };
  return { receive: ring(0), transmit: ring(1), fill: ring(2), completion: ring(3) };
}

/** The kernel's counters since the sockets were opened, summed over all of them. */
export function sumStatistics(sockets: readonly XdpSocket[]): XdpStatistics {
  const size = STATISTICS_COUNT * 8;
  const sums = new Array<number>(STATISTICS_COUNT).fill(0);
  for (const { fd } of sockets) {
    readOption(fd, XDP_STATISTICS, size);
    for (const [i, sum] of sums.entries()) {
      sums[i] = sum + Number(scratch.view.getBigUint64(i * 8, true));
    }
  }
  const [receiveDropped = 0, receiveInvalid = 0, transmitInvalid = 0, ...rest] = sums;
  const [receiveRingFull = 0, fillRingEmpty = 0, transmitRingEmpty = 0] = rest;
  const drops = { receiveDropped, receiveInvalid, receiveRingFull, transmitInvalid };
  return { drops, fillRingEmpty, transmitRingEmpty };
}

function readOptions(fd: number): number {
  readOption(fd, XDP_OPTIONS, 4);
  return scratch.view.getUint32(0, true);
}

/** Reads an option of the socket into the start of the scratch page. */
function readOption(fd: number, name: number, size: number): void {
  scratch.view.setUint32(size, size, true);
  const result = c.getsockopt(fd, SOL_XDP, name, scratch.address, scratch.address + size);
  if (result === -1) throw new SystemError('getsockopt', errno());
}

/** Maps a ring of a socket at a fixed address of this process. Throws a SystemError. */
export function mapXdpRing(address: number, size: number, fd: number, fileOffset: number): void {
  const flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
  if (c.mmap(address, size, PROT_READ | PROT_WRITE, flags, fd, fileOffset) !== -1) return;
  throw new SystemError('mmap', errno());
}

/** Makes the kernel check for frames to send. Returns 0, or errno. */
export function wakeTransmit(fd: number): number {
  return c.send(fd, 0, 0, MSG_DONTWAIT) === -1 ? errno() : 0;
}

/** Makes the kernel check the fill ring. */
export function wakeReceive(fd: number): void {
  c.recv(fd, 0, 0, MSG_DONTWAIT);
}
