import { hasFeature } from '../virtqueue/features.ts';
import type { Message } from './connection.ts';
import * as handle from './handlers.ts';
import {
  IOTLB_MESSAGE_SIZE,
  MEMORY_REGION_SIZE,
  ProtocolFeature,
  type RequestName,
  VRING_ADDRESS_SIZE,
} from './message.ts';
import { Refusal } from './refusal.ts';
import type { Session } from './session.ts';

/** A request's handler, and what is checked before the handler is called. */
interface Request {
  /** Exact payload size in bytes, or the minimum if it varies. */
  size: number;
  isSizeMinimum?: boolean;
  /** The most descriptors it takes. With more the message is invalid, and all are closed. */
  fdsMax?: number;
  /** The protocol feature bit that must be negotiated. */
  needs?: number;
  /** Returns the payload of the reply, or nothing if only an acknowledgement is due. */
  handler: (
    session: Session,
    message: Message,
  ) => Promise<Uint8Array | undefined> | Uint8Array | undefined;
}

/** Every request we support. Any other was never offered, and is refused. */
export const REQUESTS: Readonly<Partial<Record<RequestName, Request>>> = {
  GET_FEATURES: { size: 0, handler: handle.getFeatures },
  SET_FEATURES: { size: 8, handler: handle.setFeatures },
  SET_OWNER: { size: 0, handler: () => undefined },
  RESET_OWNER: { size: 0, handler: handle.resetDevice },
  SET_MEM_TABLE: { size: 8, isSizeMinimum: true, fdsMax: 8, handler: handle.setMemoryTable },
  SET_VRING_NUM: { size: 8, handler: handle.setVringSize },
  SET_VRING_ADDR: { size: VRING_ADDRESS_SIZE, handler: handle.setVringAddress },
  SET_VRING_BASE: { size: 8, handler: handle.setVringBase },
  GET_VRING_BASE: { size: 8, handler: handle.getVringBase },
  SET_VRING_KICK: { size: 8, fdsMax: 1, handler: handle.setVringKick },
  SET_VRING_CALL: { size: 8, fdsMax: 1, handler: handle.setVringCall },
  SET_VRING_ERR: { size: 8, fdsMax: 1, handler: handle.setVringError },
  GET_PROTOCOL_FEATURES: { size: 0, handler: handle.getProtocolFeatures },
  SET_PROTOCOL_FEATURES: { size: 8, handler: handle.setProtocolFeatures },
  GET_QUEUE_NUM: { size: 0, needs: ProtocolFeature.MQ, handler: handle.getQueueCount },
  SET_VRING_ENABLE: { size: 8, handler: handle.setVringEnable },
  NET_SET_MTU: { size: 8, needs: ProtocolFeature.MTU, handler: handle.setMtu },
  SET_BACKEND_REQ_FD: {
    size: 0,
    isSizeMinimum: true,
    fdsMax: 1,
    needs: ProtocolFeature.BACKEND_REQ,
    handler: handle.setBackendRequestFd,
  },
  IOTLB_MSG: {
    size: IOTLB_MESSAGE_SIZE,
    needs: ProtocolFeature.BACKEND_REQ,
    handler: handle.changeIotlb,
  },
  GET_CONFIG: {
    size: 12,
    isSizeMinimum: true,
    needs: ProtocolFeature.CONFIG,
    handler: handle.getConfig,
  },
  SET_CONFIG: {
    size: 12,
    isSizeMinimum: true,
    needs: ProtocolFeature.CONFIG,
    handler: handle.setConfig,
  },
  RESET_DEVICE: { size: 0, needs: ProtocolFeature.RESET_DEVICE, handler: handle.resetDevice },
  GET_MAX_MEM_SLOTS: {
    size: 0,
    needs: ProtocolFeature.CONFIGURE_MEM_SLOTS,
    handler: handle.getMemorySlots,
  },
  ADD_MEM_REG: {
    size: 8 + MEMORY_REGION_SIZE,
    fdsMax: 1,
    needs: ProtocolFeature.CONFIGURE_MEM_SLOTS,
    handler: handle.addMemoryRegion,
  },
  REM_MEM_REG: {
    size: 8 + MEMORY_REGION_SIZE,
    fdsMax: 1,
    needs: ProtocolFeature.CONFIGURE_MEM_SLOTS,
    handler: handle.removeMemoryRegion,
  },
  SET_STATUS: { size: 8, needs: ProtocolFeature.STATUS, handler: handle.setStatus },
  GET_STATUS: { size: 0, needs: ProtocolFeature.STATUS, handler: handle.getStatus },
};

/** The request for a message. Throws a Refusal if feature, size or descriptor count is wrong. */
export function admit(name: RequestName, message: Message, protocolFeatures: bigint): Request {
  const request = REQUESTS[name];
  if (request === undefined) throw new Refusal(`${name} was not offered`);
  if (request.needs !== undefined && !hasFeature(protocolFeatures, request.needs)) {
    throw new Refusal(`${name} needs a protocol feature that was not negotiated`);
  }
  const { size } = message.header;
  const isSizeRight = request.isSizeMinimum === true ? size >= request.size : size === request.size;
  if (!isSizeRight) throw new Refusal(`${name} with ${size} bytes, not ${request.size}`);
  if (message.fds.length > (request.fdsMax ?? 0)) {
    throw new Refusal(`${name} with ${message.fds.length} descriptors, not ${request.fdsMax ?? 0}`);
  }
  return request;
}
