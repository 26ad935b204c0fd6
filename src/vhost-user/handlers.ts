import { operatorError } from '../errors.ts';
import { MEMORY_SLOTS_MAX } from '../memory/guest-memory.ts';
import { closePeerFd, closePeerFds } from '../os/closer.ts';
import { closeSignal, type PeerSignal, type SignalKind, signalKind } from '../os/peer-signal.ts';
import { hasFeature } from '../virtqueue/features.ts';
import { baseOf, type RingSetup } from '../virtqueue/ring-setup.ts';
import type { Message } from './connection.ts';
import { CONFIG_SPACE_SIZE } from './device.ts';
import {
  IotlbType,
  MEMORY_REGION_SIZE,
  MEMORY_REGIONS_PER_TABLE_MAX,
  ProtocolFeature,
  readIotlb,
  readMemoryRegion,
  readU64,
  readVringAddress,
  readVringState,
  VRING_FD_INDEX_MASK,
  VRING_FD_NONE,
  viewOf,
  wantsAnswer,
  writeU64,
  writeVringState,
} from './message.ts';
import { OFFERED_PROTOCOL_FEATURES } from './protocol-features.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Session } from './session.ts';

// One function per request: check its contents, act, reply. Feature, size and descriptor count have
// been checked (requests.ts). A handler that keeps a descriptor removes it from `message.fds`.

export function getFeatures(session: Session): Uint8Array {
  session.wasAsked = true;
  const { device, keepsConfigSpace, protocolFeatures } = session;
  const hasChannel = hasFeature(protocolFeatures, ProtocolFeature.BACKEND_REQ);
  return writeU64(device.offeredFeatures({ keepsConfigSpace, hasChannel }));
}

export async function setFeatures(session: Session, message: Message): Promise<undefined> {
  const features = readU64(message.payload);
  if (!session.device.isAcceptable(features))
    throw new Refusal(`features ${features.toString(16)} not offered`);
  await session.negotiate(features);
}

export function getProtocolFeatures({ device }: Session): Uint8Array {
  return writeU64(OFFERED_PROTOCOL_FEATURES | device.protocolFeatures);
}

export async function setProtocolFeatures(session: Session, message: Message): Promise<undefined> {
  const features = readU64(message.payload);
  if ((features & ~(OFFERED_PROTOCOL_FEATURES | session.device.protocolFeatures)) !== 0n) {
    throw new Refusal(`protocol features ${features.toString(16)} not offered`);
  }
  await session.negotiateProtocol(features);
}

export function getQueueCount({ device, protocolFeatures }: Session): Uint8Array {
  const readsConfig = hasFeature(protocolFeatures, ProtocolFeature.CONFIG);
  return writeU64(BigInt(device.queueCount(readsConfig)));
}

export async function setMemoryTable(session: Session, message: Message): Promise<undefined> {
  const count = viewOf(message.payload).getUint32(0, true);
  if (count > MEMORY_REGIONS_PER_TABLE_MAX || message.fds.length !== count) {
    throw new Refusal(`${count} regions with ${message.fds.length} descriptors`);
  }
  if (message.payload.length < 8 + count * MEMORY_REGION_SIZE) {
    throw new Refusal(`${count} regions in ${message.payload.length} bytes`);
  }
  let refusal: Refusal | null = null;
  await session.rings.withAllStopped(async () => {
    const old = session.memory.takeAll();
    session.iommu.flush(); // translations refer to memory that may have moved
    for (let index = 0; index < count && refusal === null; index++) {
      refusal = addRegion(session, message, 8 + index * MEMORY_REGION_SIZE);
    }
    await session.device.rings.setMemory(session.memory.regions);
    closePeerFds(old.map(({ fd }) => fd));
  });
  if (refusal !== null) throw refusal;
}

export function getMemorySlots(): Uint8Array {
  return writeU64(BigInt(MEMORY_SLOTS_MAX));
}

export async function addMemoryRegion(session: Session, message: Message): Promise<undefined> {
  if (message.fds.length !== 1) throw new Refusal('a region without its descriptor');
  const refusal = addRegion(session, message, 8);
  if (refusal !== null) throw refusal;
  await session.device.rings.setMemory(session.memory.regions);
}

export async function removeMemoryRegion(session: Session, message: Message): Promise<undefined> {
  const taken = session.memory.take(readMemoryRegion(message.payload, 8));
  if (taken === null) throw new Refusal('no such region');
  const { region, isGone } = taken;
  if (!isGone) return;
  if (session.device.rings.usesFile(region.fd)) {
    session.memory.putBack(region);
    throw new Refusal('a ring that runs lies in this region');
  }
  session.iommu.flush();
  await session.device.rings.setMemory(session.memory.regions);
  closePeerFd(region.fd);
}

// Ring parameters are accepted without judgment: the guest's driver chose them, and a VMM whose
// connection is closed for them may be without its device until it is restarted. A ring with an
// invalid set-up is set aside until a later request corrects it.

export async function setVringSize(session: Session, message: Message): Promise<undefined> {
  const { index, number } = readVringState(message.payload);
  const setup = stoppedSetup(session, index, ({ size }) => size === number);
  if (setup === null) return;
  setup.size = number;
  setup.hasSize = true;
  await session.rings.review(index);
}

export async function setVringAddress(session: Session, message: Message): Promise<undefined> {
  const address = readVringAddress(message.payload);
  const { descriptors, avail, used } = address;
  const setup = stoppedSetup(
    session,
    address.index,
    ({ addresses }) =>
      addresses?.descriptors === descriptors &&
      addresses.avail === avail &&
      addresses.used === used,
  );
  if (setup === null) return;
  setup.addresses = { descriptors, avail, used };
  await session.rings.startWhenComplete(address.index);
}

export async function setVringBase(session: Session, message: Message): Promise<undefined> {
  const { index, number } = readVringState(message.payload);
  const setup = stoppedSetup(session, index, ({ base }) => base === number);
  if (setup === null) return;
  setup.base = number;
  await session.rings.review(index);
}

export async function getVringBase(session: Session, message: Message): Promise<Uint8Array> {
  const { index } = readVringState(message.payload);
  const place = await session.rings.stop(index);
  return writeVringState(index, baseOf(place, session.features));
}

export async function setVringKick(session: Session, message: Message): Promise<undefined> {
  const { queue, signal } = takeSignal(session, message, ['eventfd']);
  if (signal === null)
    throw new Refusal('a ring without a kick descriptor would have to be polled for ever');
  if (session.device.rings.isRunning(queue)) await session.rings.stop(queue);
  const setup = session.rings.setup(queue);
  closePeerFd(setup.kickFd);
  setup.kickFd = signal.fd;
  await session.rings.startWhenComplete(queue);
}

export async function setVringCall(session: Session, message: Message): Promise<undefined> {
  const { queue, signal } = takeSignal(session, message);
  const setup = session.rings.setup(queue);
  const old = setup.call;
  setup.call = signal;
  await session.device.rings.setCall(queue, signal, old);
  closeSignal(old); // from here on no processor raises it
}

export function setVringError(session: Session, message: Message): undefined {
  const { queue, signal } = takeSignal(session, message);
  const setup = session.rings.setup(queue);
  closeSignal(setup.error);
  setup.error = signal;
}

export async function setVringEnable(session: Session, message: Message): Promise<undefined> {
  const { index, number } = readVringState(message.payload);
  if (number > 1) throw new Refusal(`enable ${number}`);
  session.rings.setup(index).isEnabled = number === 1;
  await session.device.rings.setEnabled(index, number === 1);
}

export function setMtu({ device, protocolFeatures }: Session, message: Message): undefined {
  const mtu = readU64(message.payload);
  if (mtu < 68n || mtu > 65535n) throw new Refusal(`MTU ${mtu}`);
  if (device.setMtu === undefined) throw new Refusal('no network device, and so no MTU');
  device.setMtu(Number(mtu), wantsAnswer(message.header, protocolFeatures));
}

export function setBackendRequestFd(session: Session, message: Message): undefined {
  const [fd] = message.fds;
  if (fd === undefined) throw new Refusal('no descriptor');
  if (signalKind(fd) !== 'socket') throw new Refusal('the channel is no Unix socket');
  message.fds.shift();
  try {
    session.connectBackend(fd);
  } catch (error) {
    closePeerFd(fd);
    throw new Refusal(`a channel that cannot be waited for: ${(error as Error).message}`);
  }
}

/** Adds or removes IOMMU translations. The reply means that the change has taken effect. */
export async function changeIotlb(session: Session, message: Message): Promise<undefined> {
  if (!session.isBehindIommu) throw new Refusal('ACCESS_PLATFORM was not negotiated');
  const iotlb = readIotlb(message.payload);
  if (iotlb.type === IotlbType.INVALIDATE) await session.rings.stopWithin(iotlb);
  await session.iommu.change(iotlb);
  await session.rings.startComplete();
}

export function getConfig(session: Session, message: Message): Uint8Array {
  const request = viewOf(message.payload);
  const offset = request.getUint32(0, true);
  const size = request.getUint32(4, true);
  if (offset + size > CONFIG_SPACE_SIZE || message.payload.length < 12 + size) {
    throw new Refusal(`configuration bytes ${offset}+${size}`);
  }
  const reply = message.payload.slice(0, 12 + size);
  reply.set(session.device.readConfig().subarray(offset, offset + size), 12);
  return reply;
}

export function setConfig(): undefined {
  throw new Refusal('nothing in the configuration space can be written'); // 5.1.4.1
}

export async function resetDevice(session: Session): Promise<undefined> {
  await session.reset();
}

export async function setStatus(session: Session, message: Message): Promise<undefined> {
  const status = readU64(message.payload);
  if (status > 0xffn) throw new Refusal(`status ${status}`);
  session.status = Number(status);
  if (status === 0n) await session.reset();
}

export function getStatus(session: Session): Uint8Array {
  return writeU64(BigInt(session.status));
}

/**
 * The set-up of a stopped ring; null if the ring runs and `isSame`. A front-end that corrects a
 * ring repeats the whole set-up, and the first of those requests has started the ring already.
 */
function stoppedSetup(
  session: Session,
  queue: number,
  isSame: (setup: RingSetup) => boolean,
): RingSetup | null {
  const setup = session.rings.setup(queue);
  if (!session.device.rings.isRunning(queue)) return setup;
  if (isSame(setup)) return null;
  throw new Refusal(`ring ${queue} is running`);
}

interface RingSignal {
  queue: number;
  signal: PeerSignal | null;
}

/** The ring of a KICK, CALL or ERR message (all 64 bits count) and its descriptor, if any. */
function takeSignal(
  session: Session,
  message: Message,
  kinds: readonly SignalKind[] = ['eventfd', 'socket', 'pipe'],
): RingSignal {
  const value = readU64(message.payload);
  if (value > BigInt(VRING_FD_INDEX_MASK | VRING_FD_NONE)) throw new Refusal(`ring ${value}`);
  const queue = Number(value) & VRING_FD_INDEX_MASK;
  session.rings.setup(queue);
  const isNone = (Number(value) & VRING_FD_NONE) !== 0;
  if (isNone !== (message.fds.length === 0)) throw new Refusal('descriptor and flag disagree');
  if (isNone) return { queue, signal: null };
  const [fd = -1] = message.fds;
  const kind = signalKind(fd);
  if (kind === null || !kinds.includes(kind)) {
    throw new Refusal(`the descriptor is no ${kinds.slice(0, 2).join(' or ')}`);
  }
  // A write to a pipe takes the pipe's lock. Its owner can hold that lock for as long as it likes,
  // by writing from memory that its own file system serves. No flag prevents this.
  if (kind === 'pipe' && !session.device.allowUnsealedMemory) {
    throw new Refusal(
      'the descriptor is a pipe, with which its owner can make the NIC wait. If you trust it, ' +
        'set allowUnsealedMemory: true on the VF',
    );
  }
  message.fds.shift();
  return { queue, signal: { fd, kind } };
}

/** Adds the region at `offset` in the payload, with the next descriptor of the message. */
function addRegion(session: Session, message: Message, offset: number): Refusal | null {
  const fd = message.fds.shift() ?? -1;
  const problem = session.memory.add(readMemoryRegion(message.payload, offset), fd);
  if (problem === null) return null;
  const parameters = { vf: session.device.name, received: problem };
  if (problem === 'memory not sealed against shrinking') {
    return refusalOf(operatorError('HEDDLE_MEMORY_UNSEALED', parameters));
  }
  if (problem === 'memory in huge pages') {
    return refusalOf(operatorError('HEDDLE_MEMORY_HUGE_PAGES', parameters));
  }
  return new Refusal(problem);
}
