import {
  AF_UNIX,
  EAGAIN,
  EINTR,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from './constants.ts';
import { c, errno } from './libc.ts';
import { readStat } from './proc-stat.ts';
import { scratch } from './scratch.ts';
import { checked, SystemError } from './system-error.ts';

/** sun_path has 108 bytes including the terminating zero. */
export const SOCKET_PATH_LENGTH_MAX = 107;
/** The kernel's SCM_MAX_FD. */
const FD_COUNT_MAX = 253;

// Layout of the scratch page: struct msghdr, iovec, address, control data, payload.
const MESSAGE = 0;
const IOVEC = 64;
const ADDRESS = 128;
const CONTROL = 1024;
const CONTROL_SIZE = 2048;
const PAYLOAD = 4096;
const PAYLOAD_SIZE_MAX = 32768;

export interface Received {
  /** Bytes read: 0 at the end of the stream, −1 if nothing is available now. */
  length: number;
  /** A copy of the bytes. */
  bytes: Uint8Array;
  fds: number[];
  /** More descriptors arrived than there was room for; the kernel has closed the surplus. */
  isTruncated: boolean;
}

export function createUnixSocket(): number {
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return checked('socket', c.socket(AF_UNIX, type, 0));
}

export function createSocketPair(): [number, number] {
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  checked('socketpair', c.socketpair(AF_UNIX, type, 0, scratch.address));
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}

/** The process at the other end; for a connection to a listening socket, the one that listens. */
export function peerProcess(fd: number): string {
  const { view, address } = scratch;
  view.setUint32(0, 12, true); // struct ucred: pid, uid, gid
  checked('getsockopt', c.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, address + 4, address));
  const pid = view.getInt32(4, true);
  return processIdentity(pid) ?? `${pid}`;
}

/**
 * A process identified by its pid and start time, since pids are reused; null if there is none, or
 * it belongs to another container. The start time is field 22 of proc(5).
 */
export function processIdentity(pid: number): string | null {
  try {
    return `${pid}:${readStat(`/proc/${pid}`)(22)}`;
  } catch {
    return null;
  }
}

/** 0 if bound, otherwise errno. */
export function bindErrno(fd: number, path: string): number {
  return c.bind(fd, scratch.address + ADDRESS, writeAddress(path)) === 0 ? 0 : errno();
}

export function bindUnixSocket(fd: number, path: string): void {
  checked('bind', c.bind(fd, scratch.address + ADDRESS, writeAddress(path)));
}

export function listenUnixSocket(fd: number): void {
  checked('listen', c.listen(fd, 16));
}

/** A new connection, or −1 if none is waiting. Throws EMFILE and the like. */
export function acceptUnixSocket(fd: number): number {
  const connection = c.accept(fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection !== -1) return connection;
  const error = errno();
  if (error === EAGAIN || error === EINTR) return -1;
  throw new SystemError('accept4', error);
}

/**
 * 0 if connected, otherwise errno. A Unix socket connects immediately or not at all (EAGAIN: its
 * queue is full).
 */
export function connectUnixSocket(fd: number, path: string): number {
  return c.connect(fd, scratch.address + ADDRESS, writeAddress(path)) === 0 ? 0 : errno();
}

/**
 * Sends bytes and descriptors together. Returns the bytes sent, or −1 if the peer's buffer is full.
 */
export function sendMessage(fd: number, bytes: Uint8Array, fds: readonly number[] = []): number {
  const length = Math.min(bytes.length, PAYLOAD_SIZE_MAX);
  scratch.bytes.set(bytes.subarray(0, length), PAYLOAD);
  const control = fds.length === 0 ? 0 : writeRights(fds);
  writeHeader(length, control);
  const sent = c.sendmsg(fd, scratch.address + MESSAGE, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent !== -1) return sent;
  const error = errno();
  if (error === EAGAIN || error === EINTR) return -1;
  throw new SystemError('sendmsg', error);
}

/** Reads at most `lengthMax` bytes and any descriptors that came with them. */
export function receiveMessage(fd: number, lengthMax: number): Received {
  writeHeader(Math.min(lengthMax, PAYLOAD_SIZE_MAX), CONTROL_SIZE);
  const length = c.recvmsg(fd, scratch.address + MESSAGE, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (length === -1) {
    const error = errno();
    if (error !== EAGAIN && error !== EINTR) throw new SystemError('recvmsg', error);
    return { length: -1, bytes: new Uint8Array(0), fds: [], isTruncated: false };
  }
  return {
    length,
    bytes: scratch.bytes.slice(PAYLOAD, PAYLOAD + length),
    fds: readRights(),
    isTruncated: (scratch.view.getUint32(MESSAGE + 48, true) & MSG_CTRUNC) !== 0,
  };
}

/** struct sockaddr_un; returns its length. */
function writeAddress(path: string): number {
  const bytes = new TextEncoder().encode(path);
  if (bytes.length > SOCKET_PATH_LENGTH_MAX) throw new Error(`assertion: socket path ${path}`);
  scratch.view.setUint16(ADDRESS, AF_UNIX, true);
  scratch.bytes.set(bytes, ADDRESS + 2);
  scratch.bytes[ADDRESS + 2 + bytes.length] = 0;
  return 2 + bytes.length + 1;
}

/** struct msghdr: name, namelen, iov, iovlen, control, controllen, flags. */
function writeHeader(payloadLength: number, controlLength: number): void {
  const { view, address } = scratch;
  view.setBigUint64(MESSAGE, 0n, true);
  view.setUint32(MESSAGE + 8, 0, true);
  view.setBigUint64(MESSAGE + 16, BigInt(address + IOVEC), true);
  view.setBigUint64(MESSAGE + 24, 1n, true);
  view.setBigUint64(MESSAGE + 32, controlLength === 0 ? 0n : BigInt(address + CONTROL), true);
  view.setBigUint64(MESSAGE + 40, BigInt(controlLength), true);
  view.setUint32(MESSAGE + 48, 0, true);
  view.setBigUint64(IOVEC, BigInt(address + PAYLOAD), true);
  view.setBigUint64(IOVEC + 8, BigInt(payloadLength), true);
}

/** struct cmsghdr: len u64, level u32, type u32, then the descriptors; returns the space used. */
function writeRights(fds: readonly number[]): number {
  if (fds.length > FD_COUNT_MAX) throw new Error(`assertion: ${fds.length} descriptors`);
  const { view } = scratch;
  view.setBigUint64(CONTROL, BigInt(16 + fds.length * 4), true);
  view.setUint32(CONTROL + 8, SOL_SOCKET, true);
  view.setUint32(CONTROL + 12, SCM_RIGHTS, true);
  fds.forEach((fd, index) => {
    view.setInt32(CONTROL + 16 + index * 4, fd, true);
  });
  return 16 + Math.ceil((fds.length * 4) / 8) * 8;
}

function readRights(): number[] {
  const { view } = scratch;
  const end = CONTROL + Number(view.getBigUint64(MESSAGE + 40, true));
  const fds: number[] = [];
  let at = CONTROL;
  while (at + 16 <= end) {
    const length = Number(view.getBigUint64(at, true));
    if (length < 16) break;
    const isRights =
      view.getUint32(at + 8, true) === SOL_SOCKET && view.getUint32(at + 12, true) === SCM_RIGHTS;
    for (let fd = at + 16; isRights && fd + 4 <= at + length; fd += 4) {
      fds.push(view.getInt32(fd, true));
    }
    at += Math.ceil(length / 8) * 8;
  }
  return fds;
}
