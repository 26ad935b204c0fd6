// The vhost-user wire format (QEMU, docs/interop/vhost-user.rst): numbers and layouts, no
// behaviour.
//
//   0         4       8      12
//   ┌─────────┬───────┬──────┬─────────────┐
//   │ request │ flags │ size │ payload …   │   all little-endian; descriptors in SCM_RIGHTS
//   └─────────┴───────┴──────┴─────────────┘

export const HEADER_SIZE = 12;
export const VERSION = 1;
export const VERSION_MASK = 3;
export const FLAG_REPLY = 4;
export const FLAG_NEED_REPLY = 8;

/** Larger than any request: 8 bytes and 8 regions of 32, or a 256-byte configuration space. */
export const PAYLOAD_SIZE_MAX = 4096;
/** Regions in one memory table, each with a descriptor. */
export const MEMORY_REGIONS_PER_TABLE_MAX = 8;
/** SET_VRING_KICK, CALL, ERR: bits 0–7 the queue, bit 8 "no descriptor". */
export const VRING_FD_INDEX_MASK = 0xff;
export const VRING_FD_NONE = 0x100;

export const FrontendRequest = {
  GET_FEATURES: 1,
  SET_FEATURES: 2,
  SET_OWNER: 3,
  RESET_OWNER: 4,
  SET_MEM_TABLE: 5,
  SET_LOG_BASE: 6,
  SET_LOG_FD: 7,
  SET_VRING_NUM: 8,
  SET_VRING_ADDR: 9,
  SET_VRING_BASE: 10,
  GET_VRING_BASE: 11,
  SET_VRING_KICK: 12,
  SET_VRING_CALL: 13,
  SET_VRING_ERR: 14,
  GET_PROTOCOL_FEATURES: 15,
  SET_PROTOCOL_FEATURES: 16,
  GET_QUEUE_NUM: 17,
  SET_VRING_ENABLE: 18,
  SEND_RARP: 19,
  NET_SET_MTU: 20,
  SET_BACKEND_REQ_FD: 21,
  IOTLB_MSG: 22,
  SET_VRING_ENDIAN: 23,
  GET_CONFIG: 24,
  SET_CONFIG: 25,
  CREATE_CRYPTO_SESSION: 26,
  CLOSE_CRYPTO_SESSION: 27,
  GET_INFLIGHT_FD: 31,
  SET_INFLIGHT_FD: 32,
  RESET_DEVICE: 34,
  VRING_KICK: 35,
  GET_MAX_MEM_SLOTS: 36,
  ADD_MEM_REG: 37,
  REM_MEM_REG: 38,
  SET_STATUS: 39,
  GET_STATUS: 40,
} as const;

export const BackendRequest = { IOTLB_MSG: 1, CONFIG_CHANGE_MSG: 2 } as const;

/** Bit numbers. */
export const ProtocolFeature = {
  MQ: 0,
  REPLY_ACK: 3,
  MTU: 4,
  BACKEND_REQ: 5,
  CONFIG: 9,
  RESET_DEVICE: 13,
  INBAND_NOTIFICATIONS: 14,
  CONFIGURE_MEM_SLOTS: 15,
  STATUS: 16,
} as const;

export type RequestName = keyof typeof FrontendRequest;

const namesById = new Map<number, RequestName>(
  Object.entries(FrontendRequest).map(([name, id]) => [id, name as RequestName]),
);

export function requestName(id: number): RequestName | undefined {
  return namesById.get(id);
}

export interface Header {
  request: number;
  flags: number;
  size: number;
}

export function readHeader(bytes: Uint8Array): Header {
  const view = viewOf(bytes);
  return {
    request: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    size: view.getUint32(8, true),
  };
}

export function writeMessage(request: number, flags: number, payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(HEADER_SIZE + payload.length);
  const view = viewOf(message);
  view.setUint32(0, request, true);
  view.setUint32(4, flags | VERSION, true);
  view.setUint32(8, payload.length, true);
  message.set(payload, HEADER_SIZE);
  return message;
}

/**
 * One region of guest memory: its guest physical address, its address in the front-end, and its
 * offset in the file.
 */
export interface MemoryRegionMessage {
  guestAddress: bigint;
  sizeBytes: bigint;
  userAddress: bigint;
  fileOffset: bigint;
}
export const MEMORY_REGION_SIZE = 32;

export function readMemoryRegion(payload: Uint8Array, offset: number): MemoryRegionMessage {
  const view = viewOf(payload);
  return {
    guestAddress: view.getBigUint64(offset, true),
    sizeBytes: view.getBigUint64(offset + 8, true),
    userAddress: view.getBigUint64(offset + 16, true),
    fileOffset: view.getBigUint64(offset + 24, true),
  };
}

export function writeMemoryRegion(region: MemoryRegionMessage): Uint8Array {
  const payload = new Uint8Array(MEMORY_REGION_SIZE);
  const view = viewOf(payload);
  view.setBigUint64(0, region.guestAddress, true);
  view.setBigUint64(8, region.sizeBytes, true);
  view.setBigUint64(16, region.userAddress, true);
  view.setBigUint64(24, region.fileOffset, true);
  return payload;
}

/** The parts of a ring, as addresses in the front-end's address space. */
export interface VringAddressMessage {
  index: number;
  flags: number;
  descriptors: bigint;
  used: bigint;
  avail: bigint;
  log: bigint;
}
export const VRING_ADDRESS_SIZE = 40;

export function readVringAddress(payload: Uint8Array): VringAddressMessage {
  const view = viewOf(payload);
  return {
    index: view.getUint32(0, true),
    flags: view.getUint32(4, true),
    descriptors: view.getBigUint64(8, true),
    used: view.getBigUint64(16, true),
    avail: view.getBigUint64(24, true),
    log: view.getBigUint64(32, true),
  };
}

export function writeVringAddress(message: VringAddressMessage): Uint8Array {
  const payload = new Uint8Array(VRING_ADDRESS_SIZE);
  const view = viewOf(payload);
  view.setUint32(0, message.index, true);
  view.setUint32(4, message.flags, true);
  view.setBigUint64(8, message.descriptors, true);
  view.setBigUint64(16, message.used, true);
  view.setBigUint64(24, message.avail, true);
  view.setBigUint64(32, message.log, true);
  return payload;
}

export const IotlbType = { MISS: 1, UPDATE: 2, INVALIDATE: 3, ACCESS_FAIL: 4 } as const;

/** struct vhost_iotlb_msg, in both directions. `access`: 1 read, 2 write, 3 both. */
export interface IotlbMessage {
  type: number;
  iova: bigint;
  sizeBytes: bigint;
  userAddress: bigint;
  access: number;
}
/** Includes the padding that C adds at the end of the struct. */
export const IOTLB_MESSAGE_SIZE = 32;

export function readIotlb(payload: Uint8Array): IotlbMessage {
  const view = viewOf(payload);
  return {
    iova: view.getBigUint64(0, true),
    sizeBytes: view.getBigUint64(8, true),
    userAddress: view.getBigUint64(16, true),
    access: view.getUint8(24),
    type: view.getUint8(25),
  };
}

export function writeIotlb(message: IotlbMessage): Uint8Array {
  const payload = new Uint8Array(IOTLB_MESSAGE_SIZE);
  const view = viewOf(payload);
  view.setBigUint64(0, message.iova, true);
  view.setBigUint64(8, message.sizeBytes, true);
  view.setBigUint64(16, message.userAddress, true);
  view.setUint8(24, message.access);
  view.setUint8(25, message.type);
  return payload;
}

/** A ring index and a number: SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE. */
export function writeVringState(index: number, number: number): Uint8Array {
  const payload = new Uint8Array(8);
  viewOf(payload).setUint32(0, index, true);
  viewOf(payload).setUint32(4, number, true);
  return payload;
}

export function readVringState(payload: Uint8Array): { index: number; number: number } {
  const view = viewOf(payload);
  return { index: view.getUint32(0, true), number: view.getUint32(4, true) };
}

export function writeU64(value: bigint): Uint8Array {
  const payload = new Uint8Array(8);
  viewOf(payload).setBigUint64(0, value, true);
  return payload;
}

export function readU64(payload: Uint8Array): bigint {
  return viewOf(payload).getBigUint64(0, true);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether a request that defines no reply is acknowledged with its outcome (REPLY_ACK). */
export function wantsAnswer({ flags }: Header, protocolFeatures: bigint): boolean {
  const knowsAnswers = ((protocolFeatures >> BigInt(ProtocolFeature.REPLY_ACK)) & 1n) === 1n;
  return knowsAnswers && (flags & FLAG_NEED_REPLY) !== 0;
}
