import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { createPipe } from '../../test/support/pipe.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { closeFd } from '../os/descriptor.ts';
import { createEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { closeSignal, type PeerSignal } from '../os/peer-signal.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import { createRingSetup, type RingSetup } from '../virtqueue/ring-setup.ts';
import type { Message } from './connection.ts';
import { CONFIG_SPACE_SIZE } from './device.ts';
import * as handlers from './handlers.ts';
import {
  FLAG_NEED_REPLY,
  IotlbType,
  ProtocolFeature,
  VRING_FD_NONE,
  viewOf,
  writeIotlb,
  writeMemoryRegion,
  writeU64,
  writeVringAddress,
  writeVringState,
} from './message.ts';
import { Refusal } from './refusal.ts';
import type { Session } from './session.ts';

const REGION_SIZE = 65536;
/** Defined neither by virtio 1.3 nor by vhost-user. */
const NOBODYS_BIT = 1n << 50n;

/** VERSION_1, and one feature of a device. */
const OFFERED = (1n << 32n) | 1n;

/** A session that logs what is done to it, in order. */
class FakeSession {
  /** One object stands for both: the session and its rings. */
  readonly rings = this;
  readonly log: string[] = [];
  readonly memory = new GuestMemory(() => false);
  readonly running = new Set<number>();
  readonly setups = new Map<number, RingSetup>();
  features = 0n;
  protocolFeatures = 0n;
  status = 0;
  isBehindIommu = false;
  /** A ring lies in the memory that is to be removed. */
  isInUse = false;
  channelProblem: Error | null = null;

  readonly iommu = {
    flush: () => this.log.push('flush'),
    change: async () => this.log.push('change'),
  };

  readonly device = {
    name: 'vf0',
    protocolFeatures: 0n,
    allowUnsealedMemory: false,
    space: new Uint8Array(CONFIG_SPACE_SIZE),
    offeredFeatures: () => OFFERED,
    isAcceptable: (features: bigint) => (features & ~OFFERED) === 0n,
    readConfig: () => this.device.space,
    setMtu: (mtu: number, isAnswered: boolean) => {
      this.log.push(`MTU ${mtu}${isAnswered ? ', answered' : ''}`);
    },
    rings: {
      isRunning: (queue: number) => this.running.has(queue),
      usesFile: () => this.isInUse,
      setMemory: async (regions: readonly unknown[]) => {
        this.log.push(`${regions.length} regions`);
      },
      setEnabled: async (queue: number, isEnabled: boolean) => {
        this.log.push(`${isEnabled ? 'enable' : 'disable'} ${queue}`);
      },
      setCall: async (_queue: number, call: PeerSignal | null) => {
        this.log.push(`call ${call?.kind ?? 'none'}, ${openFdCount()} open`);
      },
    },
  };

  setup(queue: number): RingSetup {
    if (queue > 1) throw new Refusal(`ring ${queue}`);
    const setup = this.setups.get(queue) ?? createRingSetup();
    this.setups.set(queue, setup);
    return setup;
  }

  async startWhenComplete(queue: number): Promise<void> {
    this.log.push(`start ${queue}`);
  }

  async review(queue: number): Promise<void> {
    this.log.push(`review ${queue}`);
  }

  async startComplete(): Promise<void> {
    this.log.push('start all');
  }

  async stop(queue: number): Promise<number> {
    this.log.push(`stop ${queue}`);
    this.running.delete(queue);
    return 7;
  }

  async stopWithin(): Promise<void> {
    this.log.push('stop within');
  }

  async withAllStopped(change: () => Promise<void>): Promise<void> {
    this.log.push('stop all');
    await change();
    this.log.push('start all');
  }

  async negotiate(features: bigint): Promise<void> {
    this.features = features;
  }

  async negotiateProtocol(): Promise<void> {
    this.log.push('protocol features');
  }

  connectBackend(): void {
    if (this.channelProblem !== null) throw this.channelProblem;
  }

  async reset(): Promise<void> {
    this.log.push('reset');
  }
}

let fake: FakeSession;
let session: Session;
let fdsBefore: number;
/** The descriptors that no handler took, which the session would close. */
let left: number[];

beforeEach(() => {
  fdsBefore = openFdCount();
  fake = new FakeSession();
  session = fake as unknown as Session;
  left = [];
});

afterEach(() => {
  for (const region of fake.memory.takeAll()) c.close(region.fd);
  for (const setup of fake.setups.values()) {
    closeFd(setup.kickFd);
    for (const signal of [setup.call, setup.error]) closeSignal(signal);
  }
  for (const fd of left) c.close(fd);
  expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
});

function message(payload: Uint8Array, fds: number[] = []): Message {
  left = fds; // a handler removes those that it keeps from the list
  return { header: { request: 0, flags: 1, size: payload.length }, payload, fds };
}

/** Expects a refusal, thrown or rejected. */
async function refused(act: () => unknown, reason: RegExp | string): Promise<void> {
  const outcome = (async () => act())();
  await expect(outcome).rejects.toThrow(Refusal);
  await expect(outcome).rejects.toThrow(reason);
}

function regionAt(start: number): Uint8Array {
  const address = BigInt(start);
  const sizeBytes = BigInt(REGION_SIZE);
  const place = { guestAddress: address, userAddress: address, fileOffset: 0n };
  return writeMemoryRegion({ ...place, sizeBytes });
}

/** SET_MEM_TABLE, with a count that may be wrong. */
function table(starts: readonly number[], count = starts.length): Uint8Array {
  const payload = new Uint8Array(8 + starts.length * 32);
  viewOf(payload).setUint32(0, count, true);
  starts.forEach((start, index) => {
    payload.set(regionAt(start), 8 + index * 32);
  });
  return payload;
}

/** ADD_MEM_REG and REM_MEM_REG. */
function single(start: number): Uint8Array {
  return Buffer.concat([new Uint8Array(8), regionAt(start)]);
}

/** The write end of a pipe. The read end is closed. */
function pipe(): number {
  const [reader, writer] = createPipe();
  c.close(reader);
  return writer;
}
const file = (sealed = true) => createMemoryFile('guest', REGION_SIZE, { sealed });

describe('SET_FEATURES and SET_PROTOCOL_FEATURES', () => {
  it('accept what is offered, and refuse one bit more', async () => {
    const offered = viewOf(handlers.getFeatures(session)).getBigUint64(0, true);
    await handlers.setFeatures(session, message(writeU64(offered)));
    expect(fake.features).toBe(offered);
    const more = message(writeU64(offered | NOBODYS_BIT));
    await refused(() => handlers.setFeatures(session, more), 'not offered');
    expect(fake.features).toBe(offered);
    const protocol = viewOf(handlers.getProtocolFeatures(session)).getBigUint64(0, true);
    await handlers.setProtocolFeatures(session, message(writeU64(protocol)));
    const moreProtocol = message(writeU64(protocol | NOBODYS_BIT));
    await refused(() => handlers.setProtocolFeatures(session, moreProtocol), 'not offered');
    expect(fake.log).toEqual(['protocol features']);
  });
});

describe('SET_MEM_TABLE', () => {
  it('replaces all memory while the rings are stopped, and closes the old regions', async () => {
    await handlers.setMemoryTable(session, message(table([0, REGION_SIZE]), [file(), file()]));
    expect(openFdCount()).toBe(fdsBefore + 2);
    fake.log.length = 0;
    await handlers.setMemoryTable(session, message(table([0]), [file()]));
    expect(fake.log).toEqual(['stop all', 'flush', '1 regions', 'start all']);
    expect(openFdCount()).toBe(fdsBefore + 1);
  });

  it('is refused if descriptors or bytes are missing, and nothing is stopped', async () => {
    const set = (payload: Uint8Array, fds: number[]) => () =>
      handlers.setMemoryTable(session, message(payload, fds));
    await refused(set(table([0]), []), '1 regions with 0 descriptors');
    await refused(set(table([], 1), [file()]), '1 regions in 8 bytes');
    c.close(left.pop() ?? -1);
    await refused(set(table([], 9), Array.from({ length: 9 }, file)), '9 regions with 9');
    expect(fake.log).toEqual([]);
  });

  it('is refused at the first invalid region; the rings continue with the regions before it', async () => {
    const fds = [file(), file(), file()];
    const overlapping = message(table([0, 4096, 2 * REGION_SIZE]), fds);
    await refused(() => handlers.setMemoryTable(session, overlapping), 'overlaps another region');
    expect(fake.log).toEqual(['stop all', 'flush', '1 regions', 'start all']);
    expect(left, 'the descriptor behind it').toHaveLength(1);
  });

  it('tells the operator what to do about memory that could shrink', async () => {
    const unsealed = message(table([0]), [file(false)]);
    await refused(() => handlers.setMemoryTable(session, unsealed), /seal.*memfd/s);
  });
});

describe('ADD_MEM_REG and REM_MEM_REG', () => {
  it('add and remove one region, and forget translations into it', async () => {
    await handlers.addMemoryRegion(session, message(single(0), [file()]));
    await handlers.removeMemoryRegion(session, message(single(0)));
    expect(fake.log).toEqual(['1 regions', 'flush', '0 regions']);
    expect(openFdCount()).toBe(fdsBefore);
  });

  it('keep a region while it has been added more often than removed', async () => {
    const fd = file();
    const same = c.fcntl(fd, 0, 0); // F_DUPFD
    await handlers.addMemoryRegion(session, message(single(0), [fd]));
    await handlers.addMemoryRegion(session, message(single(0), [same]));
    await handlers.removeMemoryRegion(session, message(single(0)));
    expect(fake.memory.regions).toHaveLength(1);
    expect(openFdCount(), 'its descriptor').toBe(fdsBefore + 1);
    await handlers.removeMemoryRegion(session, message(single(0)));
    expect(fake.memory.regions).toHaveLength(0);
  });

  it('refuse a region without a descriptor, an unknown region, and one that a ring uses', async () => {
    await refused(() => handlers.addMemoryRegion(session, message(single(0))), 'descriptor');
    await refused(() => handlers.removeMemoryRegion(session, message(single(0))), 'no such region');
    await handlers.addMemoryRegion(session, message(single(0), [file()]));
    fake.isInUse = true;
    await refused(
      () => handlers.removeMemoryRegion(session, message(single(0))),
      'a ring that runs',
    );
    expect(fake.memory.regions, 'it is still there').toHaveLength(1);
  });
});

describe('the set-up of a ring', () => {
  const addresses = { descriptors: 0x1000n, avail: 0x2000n, used: 0x3000n };
  const address = { index: 0, flags: 0, ...addresses, log: 0n };

  it('takes size, base and addresses, and starts the ring when the last one arrives', async () => {
    await handlers.setVringSize(session, message(writeVringState(0, 256)));
    await handlers.setVringBase(session, message(writeVringState(0, 65535)));
    await handlers.setVringAddress(session, message(writeVringAddress(address)));
    expect(fake.setup(0)).toMatchObject({ size: 256, base: 65535, addresses });
    expect(fake.log).toEqual(['review 0', 'review 0', 'start 0']);
  });

  const SET = {
    size: (number: number, queue = 0) =>
      handlers.setVringSize(session, message(writeVringState(queue, number))),
    enable: (number: number) =>
      handlers.setVringEnable(session, message(writeVringState(0, number))),
  };

  it.each([
    ['a queue that the VF does not have', () => SET.size(256, 9), 'ring 9'],
    ['an enable of 2', () => SET.enable(2), 'enable 2'],
  ])('refuses %s', async (_, act, reason) => {
    await refused(act, reason);
    expect(fake.log).toEqual([]);
  });

  it('takes any value, valid or not, and leaves the judgment to the session', async () => {
    await handlers.setVringSize(session, message(writeVringState(0, 17)));
    await handlers.setVringBase(session, message(writeVringState(0, 65536)));
    expect(fake.setup(0)).toMatchObject({ size: 17, hasSize: true, base: 65536 });
    expect(fake.log).toEqual(['review 0', 'review 0']);
  });

  it('may be repeated while the ring runs, without any effect', async () => {
    const parts = { size: 64, base: 7, addresses };
    Object.assign(fake.setup(0), parts);
    fake.running.add(0);
    await handlers.setVringSize(session, message(writeVringState(0, 64)));
    await handlers.setVringBase(session, message(writeVringState(0, 7)));
    await handlers.setVringAddress(session, message(writeVringAddress(address)));
    expect(fake.setup(0)).toMatchObject(parts);
    expect(fake.log).toEqual([]);
  });

  it('cannot change while the ring runs', async () => {
    fake.running.add(0);
    const running = 'ring 0 is running';
    const state = () => message(writeVringState(0, 64));
    await refused(() => handlers.setVringSize(session, state()), running);
    await refused(() => handlers.setVringBase(session, state()), running);
    const moved = message(writeVringAddress(address));
    await refused(() => handlers.setVringAddress(session, moved), running);
  });

  it('records whether the ring is enabled, and tells the ring', async () => {
    await handlers.setVringEnable(session, message(writeVringState(1, 1)));
    expect(fake.setup(1).isEnabled).toBe(true);
    await handlers.setVringEnable(session, message(writeVringState(1, 0)));
    expect(fake.setup(1).isEnabled).toBe(false);
    expect(fake.log).toEqual(['enable 1', 'disable 1']);
  });

  it('ends with GET_VRING_BASE, whose reply is the position of the ring', async () => {
    const answer = await handlers.getVringBase(session, message(writeVringState(1, 0)));
    expect(answer).toEqual(writeVringState(1, 7));
    expect(fake.log).toEqual(['stop 1']);
  });
});

describe('the descriptors of a ring', () => {
  const NONE = BigInt(VRING_FD_NONE);

  it('a kick starts it, and a second one restarts it and replaces the first', async () => {
    await handlers.setVringKick(session, message(writeU64(0n), [createEventFd()]));
    expect(fake.log).toEqual(['start 0']);
    fake.running.add(0);
    await handlers.setVringKick(session, message(writeU64(0n), [createEventFd()]));
    expect(fake.log).toEqual(['start 0', 'stop 0', 'start 0']);
    expect(openFdCount()).toBe(fdsBefore + 1);
  });

  it('a kick is mandatory', async () => {
    const act = () => handlers.setVringKick(session, message(writeU64(NONE)));
    await refused(act, 'polled');
  });

  it('a call is closed only when no processor raises it any more', async () => {
    await handlers.setVringCall(session, message(writeU64(1n), [createEventFd()]));
    await handlers.setVringCall(session, message(writeU64(1n | NONE)));
    const open = fdsBefore + 1;
    expect(fake.log).toEqual([`call eventfd, ${open} open`, `call none, ${open} open`]);
    expect(openFdCount()).toBe(fdsBefore);
  });

  it('an error descriptor can be set, replaced and removed', () => {
    handlers.setVringError(session, message(writeU64(0n), [createEventFd()]));
    handlers.setVringError(session, message(writeU64(0n), [createEventFd()]));
    expect(openFdCount()).toBe(fdsBefore + 1);
    handlers.setVringError(session, message(writeU64(NONE)));
    expect(openFdCount()).toBe(fdsBefore);
  });

  it.each([
    ['a descriptor with the flag for none', NONE, createEventFd, 'disagree'],
    ['neither descriptor nor flag', 0n, null, 'disagree'],
    ['bits above the flag', 0x200n, createEventFd, 'ring 512'],
    ['a queue that the VF does not have', 9n, createEventFd, 'ring 9'],
    ['a file instead of an eventfd', 0n, file, 'no eventfd'],
    ['a pipe of an untrusted VMM', 0n, pipe, 'allowUnsealedMemory'],
  ] as const)('are refused with %s', async (_, value, create, reason) => {
    const fds = create === null ? [] : [create()];
    const sent = fds.length;
    const act = () => handlers.setVringCall(session, message(writeU64(value), fds));
    await refused(act, reason);
    expect(left, 'nobody took it').toHaveLength(sent);
    expect(fake.log).toEqual([]);
  });
});

describe('other requests of a front-end', () => {
  it('an MTU must be one of Ethernet, and only network devices have one', async () => {
    fake.protocolFeatures = 1n << BigInt(ProtocolFeature.REPLY_ACK);
    const asked = message(writeU64(68n));
    asked.header.flags = FLAG_NEED_REPLY;
    handlers.setMtu(session, asked);
    handlers.setMtu(session, message(writeU64(65535n)));
    expect(fake.log).toEqual(['MTU 68, answered', 'MTU 65535']);
    for (const mtu of [67n, 65536n, 1n << 40n]) {
      await refused(() => handlers.setMtu(session, message(writeU64(mtu))), `MTU ${mtu}`);
    }
    Object.assign(fake.device, { setMtu: undefined });
    await refused(() => handlers.setMtu(session, message(writeU64(68n))), 'no network device');
  });

  it('a status is a byte, and 0 is a reset', async () => {
    await handlers.setStatus(session, message(writeU64(15n)));
    expect(handlers.getStatus(session)).toEqual(writeU64(15n));
    expect(fake.log).toEqual([]);
    await handlers.setStatus(session, message(writeU64(0n)));
    expect(fake.log).toEqual(['reset']);
    await refused(() => handlers.setStatus(session, message(writeU64(256n))), 'status 256');
  });

  it('the configuration space is read in pieces, and not beyond its end', async () => {
    const read = (offset: number, size: number, room = size) => {
      const payload = new Uint8Array(12 + room);
      viewOf(payload).setUint32(0, offset, true);
      viewOf(payload).setUint32(4, size, true);
      return [...handlers.getConfig(session, message(payload)).subarray(12)];
    };
    fake.device.space.set([2, 0, 0, 0, 0, 1, 1]);
    expect(read(0, 6)).toEqual([2, 0, 0, 0, 0, 1]);
    expect(read(6, 6)).toEqual([1, 0, 0, 0, 0, 0]);
    expect(read(255, 1)).toEqual([0]);
    await refused(() => read(255, 2), 'configuration bytes 255+2');
    await refused(() => read(0, 20, 10), 'configuration bytes 0+20');
  });

  it('a back-end channel is kept, or closed if it cannot be polled', async () => {
    const connect = (fds: number[]) =>
      handlers.setBackendRequestFd(session, message(new Uint8Array(0), fds));
    await refused(() => connect([]), 'no descriptor');
    await refused(() => connect([file()]), 'no Unix socket');
    expect(
      left.splice(0).map((fd) => c.close(fd)),
      'nobody took it',
    ).toEqual([0]);
    const [kept, given] = createSocketPair();
    connect([kept]);
    expect(left, 'it belongs to the channel').toEqual([]);
    c.close(kept);
    fake.channelProblem = new Error('epoll_ctl');
    await refused(() => connect([given]), 'a channel that cannot be waited for: epoll_ctl');
    expect(left).toEqual([]);
  });

  it('rings stop before an invalidation and start after every change of a translation', async () => {
    const change = (type: number) => {
      const range = { iova: 0n, sizeBytes: 4096n, userAddress: 0n, access: 3 };
      return handlers.changeIotlb(session, message(writeIotlb({ type, ...range })));
    };
    await refused(() => change(IotlbType.UPDATE), 'ACCESS_PLATFORM was not negotiated');
    fake.isBehindIommu = true;
    await change(IotlbType.UPDATE);
    await change(IotlbType.INVALIDATE);
    expect(fake.log).toEqual(['change', 'start all', 'stop within', 'change', 'start all']);
  });
});
