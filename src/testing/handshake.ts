import { VHOST_USER_F_PROTOCOL_FEATURES } from '../../layout/virtio.ts';
import { c } from '../os/libc.ts';
import {
  MEMORY_REGIONS_PER_TABLE_MAX,
  ProtocolFeature,
  readU64,
  viewOf,
  writeMemoryRegion,
  writeU64,
  writeVringAddress,
  writeVringState,
} from '../vhost-user/message.ts';
import type { DriverQueue } from './driver-queue.ts';
import type { FrontEnd } from './front-end.ts';
import type { GuestMemory, GuestRegion } from './guest-memory.ts';

// The steps of a vhost-user session, in QEMU's order.

export const DEFAULT_PROTOCOL_FEATURES: readonly number[] = [
  ProtocolFeature.MQ,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.MTU,
  ProtocolFeature.CONFIG,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
];

/** ACKNOWLEDGE, DRIVER, DRIVER_OK and FEATURES_OK (virtio 1.3, 2.1). */
const DRIVER_RUNS = 0x0fn;

export interface Negotiated {
  features: Set<number>;
  protocolFeatures: Set<number>;
}

function bitsOf(mask: bigint): Set<number> {
  const bits = new Set<number>();
  for (let bit = 0; bit < 64; bit++) if ((mask >> BigInt(bit)) & 1n) bits.add(bit);
  return bits;
}

export function maskOf(bits: Iterable<number>): bigint {
  let mask = 0n;
  for (const bit of bits) mask |= 1n << BigInt(bit);
  return mask;
}

/** Features, protocol features and ownership. Once REPLY_ACK is set, each step is acknowledged. */
export async function negotiate(
  frontEnd: FrontEnd,
  wanted: readonly number[],
  wantedProtocol: readonly number[] = DEFAULT_PROTOCOL_FEATURES,
): Promise<Negotiated> {
  let offered = bitsOf(readU64(await frontEnd.ask('GET_FEATURES')));
  let protocolFeatures = new Set<number>();
  const hasProtocol = offered.has(VHOST_USER_F_PROTOCOL_FEATURES) && wantedProtocol.length > 0;
  if (hasProtocol) {
    const known = bitsOf(readU64(await frontEnd.ask('GET_PROTOCOL_FEATURES')));
    protocolFeatures = new Set(wantedProtocol.filter((bit) => known.has(bit)));
    await frontEnd.send('SET_PROTOCOL_FEATURES', writeU64(maskOf(protocolFeatures)));
    frontEnd.hasReplyAck = protocolFeatures.has(ProtocolFeature.REPLY_ACK);
  }
  await frontEnd.send('SET_OWNER');
  // Again: the answer may depend on what the back end has learned about this front-end.
  if (hasProtocol) offered = bitsOf(readU64(await frontEnd.ask('GET_FEATURES')));
  const features = new Set(wanted.filter((bit) => offered.has(bit)));
  if (hasProtocol) features.add(VHOST_USER_F_PROTOCOL_FEATURES);
  await frontEnd.send('SET_FEATURES', writeU64(maskOf(features)));
  return { features, protocolFeatures };
}

/** Shares all regions: as one table if they fit, otherwise one by one. */
export async function shareMemory(
  frontEnd: FrontEnd,
  memory: GuestMemory,
  negotiated: Negotiated,
): Promise<void> {
  const hasSlots = negotiated.protocolFeatures.has(ProtocolFeature.CONFIGURE_MEM_SLOTS);
  if (hasSlots && memory.regions.length > MEMORY_REGIONS_PER_TABLE_MAX) {
    for (const region of memory.regions) await addRegion(frontEnd, region);
    return;
  }
  const { payload, fds } = memoryTable(memory.regions);
  await frontEnd.send('SET_MEM_TABLE', payload, fds);
}

function regionMessage(region: GuestRegion): Uint8Array {
  return writeMemoryRegion({
    guestAddress: BigInt(region.guestAddress),
    sizeBytes: BigInt(region.sizeBytes),
    userAddress: BigInt(region.userAddress),
    fileOffset: BigInt(region.fileOffset),
  });
}

export function memoryTable(regions: readonly GuestRegion[]): {
  payload: Uint8Array;
  fds: number[];
} {
  const payload = new Uint8Array(8 + regions.length * 32);
  viewOf(payload).setUint32(0, regions.length, true);
  regions.forEach((region, index) => {
    payload.set(regionMessage(region), 8 + index * 32);
  });
  return { payload, fds: regions.map((region) => region.fd) };
}

export async function addRegion(frontEnd: FrontEnd, region: GuestRegion): Promise<void> {
  await frontEnd.send('ADD_MEM_REG', slotPayload(region), [region.fd]);
}

export async function removeRegion(frontEnd: FrontEnd, region: GuestRegion): Promise<void> {
  await frontEnd.send('REM_MEM_REG', slotPayload(region));
}

/** ADD_MEM_REG and REM_MEM_REG: eight bytes of padding, then the region. */
function slotPayload(region: GuestRegion): Uint8Array {
  const payload = new Uint8Array(40);
  payload.set(regionMessage(region), 8);
  return payload;
}

export interface RingFds {
  kick: number;
  call: number;
}

/** Describes a ring, then starts it with its kick descriptor. */
export async function startRing(
  frontEnd: FrontEnd,
  queue: number,
  ring: DriverQueue,
  fds: RingFds,
): Promise<void> {
  await frontEnd.send('SET_VRING_NUM', writeVringState(queue, ring.size));
  await frontEnd.send('SET_VRING_BASE', writeVringState(queue, ring.base));
  await frontEnd.send('SET_VRING_ADDR', vringAddress(queue, ring));
  await frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue)), [fds.call]);
  await frontEnd.send('SET_VRING_KICK', writeU64(BigInt(queue)), [fds.kick]);
}

function vringAddress(queue: number, ring: DriverQueue): Uint8Array {
  const { memory } = ring;
  return writeVringAddress({
    index: queue,
    flags: 0,
    descriptors: BigInt(memory.userAddressOf(ring.descriptors.address)),
    used: BigInt(memory.userAddressOf(ring.used.address)),
    avail: BigInt(memory.userAddressOf(ring.avail.address)),
    log: 0n,
  });
}

export async function enableRing(
  frontEnd: FrontEnd,
  queue: number,
  isEnabled: boolean,
): Promise<void> {
  await frontEnd.send('SET_VRING_ENABLE', writeVringState(queue, isEnabled ? 1 : 0));
}

/** Stops a ring. Returns its position. */
export async function stopRing(frontEnd: FrontEnd, queue: number): Promise<number> {
  const reply = await frontEnd.ask('GET_VRING_BASE', writeVringState(queue, 0));
  return viewOf(reply).getUint32(4, true);
}

/**
 * Tells the back end that the driver runs, if it wants to know (PROTOCOL_F_STATUS): DPDK serves no
 * ring before that.
 */
export async function announceDriver(frontEnd: FrontEnd, negotiated: Negotiated): Promise<void> {
  if (!negotiated.protocolFeatures.has(ProtocolFeature.STATUS)) return;
  await frontEnd.send('SET_STATUS', writeU64(DRIVER_RUNS));
}

export function closeFds(fds: RingFds): void {
  c.close(fds.kick);
  c.close(fds.call);
}
