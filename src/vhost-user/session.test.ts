import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { RING_FAULT_MEMORY, RING_FAULT_SETUP } from '../../layout/virtqueue.ts';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { createEventFd } from '../os/event-fd.ts';
import { c } from '../os/libc.ts';
import { Poller } from '../os/poller.ts';
import { createSocketPair } from '../os/unix-socket.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { FrontEnd, RequestRefused } from '../testing/front-end.ts';
import { GuestMemory } from '../testing/guest-memory.ts';
import { memoryTable, negotiate } from '../testing/handshake.ts';
import { acquirePoller } from '../testing/shared-poller.ts';
import type { RingState } from '../virtqueue/life-cycle.ts';
import type { RingSet } from '../virtqueue/ring-set.ts';
import type { RingSetup } from '../virtqueue/ring-setup.ts';
import { CONFIG_SPACE_SIZE, type Device } from './device.ts';
import { Dialogue } from './dialogue.ts';
import { viewOf, writeU64, writeVringAddress, writeVringState } from './message.ts';
import type { Session } from './session.ts';

/** All bits: whatever a front-end in these tests acknowledges. */
const OFFERED = (1n << 64n) - 1n;

/** Rings without processors, which log what is done to them. */
class FakeRings {
  readonly running = new Map<number, RingSetup>();
  readonly log: string[] = [];
  regions = 0;
  place = 7;

  readonly aside = new Map<number, string>();
  problem: RingProblem | null = null;

  isRunning(queue: number): boolean {
    return this.running.has(queue);
  }

  state(queue: number): RingState {
    if (this.aside.has(queue)) return 'faulted';
    return this.running.has(queue) ? 'enabled' : 'stopped';
  }

  setAside(queue: number, _setup: RingSetup, _features: bigint, reason: string): boolean {
    const isNews = this.aside.get(queue) !== reason;
    this.aside.set(queue, reason);
    return isNews;
  }

  forgive(queue: number): void {
    this.aside.delete(queue);
  }

  countFault(queue: number, fault: number): void {
    this.log.push(`fault ${fault} of ${queue}`);
  }

  queues(): number[] {
    return [...this.running.keys()];
  }

  async start(queue: number, setup: RingSetup): Promise<RingProblem | null> {
    this.log.push(`start ${queue} at ${setup.base}`);
    if (this.problem !== null) return this.problem;
    this.running.set(queue, setup);
    return null;
  }

  async stop(queue: number): Promise<number> {
    this.log.push(`stop ${queue}`);
    this.aside.delete(queue);
    this.running.delete(queue);
    return this.place;
  }

  async stopAll(): Promise<void> {
    for (const queue of this.queues()) await this.stop(queue);
  }

  async setMemory(regions: readonly unknown[]): Promise<void> {
    this.regions = regions.length;
  }

  async setBehindIommu(isBehindIommu: boolean): Promise<void> {
    if (isBehindIommu) this.log.push('behind an IOMMU');
  }

  async changeIotlb(change: { type: string }): Promise<void> {
    this.log.push(change.type);
  }

  async setEnabled(queue: number, isEnabled: boolean): Promise<void> {
    this.log.push(`${isEnabled ? 'enable' : 'disable'} ${queue}`);
  }

  async setCall(): Promise<void> {}

  usesFile(): boolean {
    return this.running.size > 0;
  }
}

describe('a session', () => {
  const poller = new Poller();
  // Kept for all tests, so that its descriptors are not counted as a leak.
  const frontEndPoller = acquirePoller();
  let fdsBefore = 0;
  let rings: FakeRings;
  let dialogue: Dialogue;
  let session: Session;
  let frontEnd: FrontEnd;
  let memory: GuestMemory;
  let heard: string[];
  /** Descriptors that the front-end may leave with the VF. */
  let quota = 100;

  beforeEach(() => {
    fdsBefore = openFdCount();
    const [ours, theirs] = createSocketPair();
    rings = new FakeRings();
    heard = [];
    quota = 100;
    const device: Device = {
      name: 'vf0',
      rings: rings as unknown as RingSet,
      protocolFeatures: 0n,
      allowUnsealedMemory: false,
      get descriptorQuota() {
        return quota;
      },
      startProblem: null,
      offeredFeatures: () => OFFERED,
      isAcceptable: (features) => (features & ~OFFERED) === 0n,
      roleOf: (queue) => (queue > 1 ? null : queue === 1 ? 'transmit' : 'receive'),
      queueCount: () => 1,
      readConfig: () => Uint8Array.from({ length: CONFIG_SPACE_SIZE }, (_, index) => index),
      reset: async () => {
        rings.log.push('reset settings');
      },
      forgetQueue: () => undefined,
    };
    dialogue = new Dialogue(ours, poller, device, {
      onStateChange: () => undefined,
      onReset: () => heard.push('reset'),
      onRefusal: (reason) => heard.push(reason),
      onRingFault: (queue, reason) => heard.push(`ring ${queue}: ${reason}`),
      onUntranslatable: (iova) => heard.push(`untranslatable: ${iova}`),
      onClosed: (reason) => heard.push(`closed: ${reason}`),
    });
    session = dialogue.session;
    frontEnd = new FrontEnd(theirs);
    memory = new GuestMemory();
  });

  afterEach(async () => {
    frontEnd.close();
    await dialogue.close();
    memory.close();
    expect(session.state).toBe('closed');
    expect(rings.running.size).toBe(0);
    expect(openFdCount(), 'descriptors left open').toBe(fdsBefore);
  });

  afterAll(() => {
    frontEndPoller.release();
    poller.close();
  });

  async function shareMemory(): Promise<void> {
    const { payload, fds } = memoryTable(memory.regions);
    await frontEnd.send('SET_MEM_TABLE', payload, fds);
  }

  async function describeRing(queue: number, base = 0): Promise<void> {
    const at = BigInt(memory.regions[0]?.userAddress ?? 0);
    const parts = { descriptors: at, avail: at + 0x2000n, used: at + 0x3000n };
    const address = { index: queue, flags: 0, ...parts, log: 0n };
    await frontEnd.send('SET_VRING_NUM', writeVringState(queue, 256));
    await frontEnd.send('SET_VRING_BASE', writeVringState(queue, base));
    await frontEnd.send('SET_VRING_ADDR', writeVringAddress(address));
  }

  async function sendFd(request: 'SET_VRING_KICK' | 'SET_VRING_CALL', queue: number) {
    const fd = createEventFd();
    await frontEnd.send(request, writeU64(BigInt(queue)), [fd]);
    c.close(fd);
  }

  async function run(queue: number, base = 0): Promise<void> {
    await describeRing(queue, base);
    await sendFd('SET_VRING_CALL', queue);
    await sendFd('SET_VRING_KICK', queue);
  }

  it('goes through connected, negotiated, running, negotiated and closed', async () => {
    expect(session.state).toBe('connected');
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    expect(session.state).toBe('negotiated');
    await shareMemory();
    await run(0);
    expect(session.state).toBe('running');
    await frontEnd.ask('GET_VRING_BASE', writeVringState(0, 0));
    expect(session.state).toBe('negotiated');
    frontEnd.close();
    await expect.poll(() => session.state).toBe('closed');
    expect(heard).toEqual(['closed: null']);
  });

  it('keeps no more descriptors than the share of its VF, and says so', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    quota = 6;
    const room = quota - memory.regions.length;
    const requests = ['SET_VRING_KICK', 'SET_VRING_CALL', 'SET_VRING_ERR'] as const;
    const messages = [0, 1].flatMap((queue) => requests.map((request) => ({ request, queue })));
    const fd = createEventFd();
    const send = ({ request, queue }: (typeof messages)[number]) =>
      frontEnd.send(request, writeU64(BigInt(queue)), [fd]);
    for (const message of messages.slice(0, room)) await send(message);
    const [beyond] = messages.slice(room);
    expect(beyond).toBeDefined();
    if (beyond !== undefined) await expect(send(beyond)).rejects.toThrow(RequestRefused);
    c.close(fd);
    expect(heard[0]).toMatch(
      /Cannot keep more file descriptors for VF vf0 .*share is 6: received 7/,
    );
    // The session continues, and room that it frees can be used again.
    await frontEnd.send('SET_VRING_CALL', writeU64(0x100n));
    if (beyond !== undefined) await sendFd('SET_VRING_CALL', 0);
  });

  it('starts a ring with its kick', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await describeRing(0);
    expect(rings.log).toEqual([]);
    await sendFd('SET_VRING_KICK', 0);
    expect(rings.log).toEqual(['start 0 at 0']);
  });

  it('reports the position of a ring, and of a ring that never ran the one it would start from', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await run(0);
    const base = async (queue: number) =>
      viewOf(await frontEnd.ask('GET_VRING_BASE', writeVringState(queue, 0))).getUint32(4, true);
    expect(await base(0)).toBe(7);
    await frontEnd.send('SET_VRING_BASE', writeVringState(1, 99));
    expect(await base(1)).toBe(99);
  });

  it('stops the running rings for a new memory table, and restarts them at their positions', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await run(0);
    await run(1);
    rings.log.length = 0;
    await shareMemory();
    expect(rings.log).toEqual(['stop 0', 'stop 1', 'start 0 at 7', 'start 1 at 7']);
    expect(rings.regions).toBe(memory.regions.length);
  });

  it('refuses to change the size or the base of a running ring', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await run(0);
    for (const request of ['SET_VRING_NUM', 'SET_VRING_BASE'] as const) {
      const refusal = frontEnd.send(request, writeVringState(0, 64));
      await expect(refusal).rejects.toThrow(RequestRefused);
    }
    expect(heard.every((reason) => /ring 0 is running/.test(reason))).toBe(true);
    expect(heard).toHaveLength(2);
  });

  it('sets a ring with an invalid set-up aside, once, until a later request corrects it', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await frontEnd.send('SET_VRING_NUM', writeVringState(0, 17));
    await frontEnd.send('SET_VRING_BASE', writeVringState(0, 0));
    const reason = 'queue size 17 is not a power of two up to 32768';
    expect(heard).toEqual([`ring 0: ${reason}`]);
    expect(rings.aside.get(0)).toBe(reason);
    expect(rings.log).toEqual([`fault ${RING_FAULT_SETUP} of 0`]);
    await run(0);
    expect(rings.aside.size).toBe(0);
    expect(session.state).toBe('running');
  });

  it('sets a ring aside that no processor can attach, and retries at a stop and start', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    rings.problem = { fault: RING_FAULT_MEMORY, reason: 'mmap failed' };
    await run(0, 5);
    expect(heard).toEqual(['ring 0: mmap failed']);
    expect(session.state).toBe('negotiated');
    rings.problem = null;
    await frontEnd.ask('GET_VRING_BASE', writeVringState(0, 0));
    await run(0, 5);
    expect(rings.aside.size).toBe(0);
    expect(session.state).toBe('running');
  });

  it('forgets kicks, bases and enables at a reset, but keeps memory and features', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    await shareMemory();
    await run(0, 300);
    await frontEnd.send('SET_VRING_ENABLE', writeVringState(0, 1));
    await frontEnd.send('RESET_DEVICE');
    expect(heard).toEqual(['reset']);
    expect(session.state).toBe('negotiated');
    expect(session.rings.setup(0)).toMatchObject({
      base: 0,
      kickFd: -1,
      isEnabled: false,
      size: 256,
    });
    expect(session.memory.regions).toHaveLength(memory.regions.length);
    await sendFd('SET_VRING_KICK', 0);
    expect(rings.log.at(-1)).toBe('start 0 at 0');
  });

  it('closes at a refusal if the front-end wants no acknowledgement', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1], []);
    await frontEnd.send('SET_VRING_ENABLE', writeVringState(0, 3));
    await frontEnd.closed;
    await expect.poll(() => session.state).toBe('closed');
    expect(heard).toEqual(['SET_VRING_ENABLE: enable 3', 'closed: enable 3']);
  });

  it('lets a front-end read the configuration space, but not write to it', async () => {
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    const size = 4;
    const request = new Uint8Array(12 + size);
    viewOf(request).setUint32(0, 2, true);
    viewOf(request).setUint32(4, size, true);
    const config = (await frontEnd.ask('GET_CONFIG', request)).subarray(12);
    expect([...config]).toEqual([2, 3, 4, 5]);
    await expect(frontEnd.send('SET_CONFIG', request)).rejects.toThrow(RequestRefused);
  });
});
