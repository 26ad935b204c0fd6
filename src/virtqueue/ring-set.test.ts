import { afterEach, describe, expect, it } from 'vitest';
import { RING_FAULT_MEMORY } from '../../layout/virtqueue.ts';
import { onFailure } from '../background.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { PinAllocator } from '../memory/pins.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { Raiser } from '../os/raiser.ts';
import { Budget } from '../processor/budgets.ts';
import type { Fabric } from '../processor/fabric.ts';
import { SharedState } from '../state/shared-state.ts';
import type { RingDevice } from './ring-device.ts';
import { RingSet } from './ring-set.ts';
import { createRingSetup } from './ring-setup.ts';

/** A device that has only rings. */
const device: RingDevice = {
  roleOf: (queue) => (queue % 2 === 0 ? 'receive' : 'transmit'),
  placeOf: (queue) => queue,
  describe: () => undefined,
  onFreshStart: async () => undefined,
  publish: async () => undefined,
};

const place = { number: 0, ringBlock: { first: 0, count: 4 } };

const SIZE = 0x10000;
const memory = new GuestMemory(() => false);
const shared = new SharedState();

afterEach(() => {
  for (const { fd } of memory.takeAll()) c.close(fd);
});

describe('the rings of a port', () => {
  it('stop even if a processor fails to detach them, and their place is free again', async () => {
    const posted: string[] = [];
    const mappings = new Budget(100);
    const fabric: Fabric = {
      shared,
      pins: new PinAllocator(),
      raiser: new Raiser(shared.fd),
      mappings,
      processorCount: 2,
      healthOf: () => ({ state: 'running' }),
      broadcast: async () => undefined,
      post: async (processor, { kind }) => {
        posted.push(`${kind} ${processor}`);
        if (kind === 'detach-ring') throw new Error('out of memory');
        return true;
      },
    };
    const whole = { guestAddress: 0n, userAddress: 0n, fileOffset: 0n, sizeBytes: BigInt(SIZE) };
    memory.add(whole, createMemoryFile('ring', SIZE));
    const rings = new RingSet(place, () => 0, fabric, device);
    const addresses = { descriptors: 0n, avail: 0x2000n, used: 0x4000n };
    const setup = { ...createRingSetup(), size: 16, addresses, isEnabled: true };
    for (const queue of [0, 1]) await rings.start(queue, setup, memory, 0n);
    const failures: string[] = [];
    const stop = onFailure(({ what }) => failures.push(what));
    await rings.stopAll();
    stop();
    expect(posted.filter((line) => line.startsWith('detach'))).toEqual([
      'detach-ring 0',
      'detach-ring 1', // of the receive ring, which is attached to both
      'detach-ring 0',
    ]);
    expect(failures).toEqual(['stop ring 0', 'stop ring 0', 'stop ring 1']);
    expect(fabric.pins.usedCells).toBe(0);
    expect(mappings.left).toBe(100);
    expect(rings.queues()).toEqual([]);
  });

  it('keep running if the kernel has no room for one more', async () => {
    let isFull = false;
    const mappings = new Budget(100);
    const states: string[] = [];
    const fabric: Fabric = {
      shared,
      pins: new PinAllocator(),
      raiser: new Raiser(shared.fd),
      mappings,
      processorCount: 2,
      healthOf: () => ({ state: 'running' }),
      broadcast: async (message) => {
        if (message.kind === 'set-ring-state') states.push(`ring ${message.ring}`);
      },
      post: async (processor, { kind }) => {
        if (isFull && kind === 'attach-ring' && processor === 1) throw new Error('mmap: ENOMEM');
        return true;
      },
    };
    const whole = { guestAddress: 0n, userAddress: 0n, fileOffset: 0n, sizeBytes: BigInt(SIZE) };
    memory.add(whole, createMemoryFile('ring', SIZE));
    const rings = new RingSet(place, () => 0, fabric, device);
    const addresses = { descriptors: 0n, avail: 0x2000n, used: 0x4000n };
    const setup = { ...createRingSetup(), size: 16, addresses, isEnabled: true };
    expect(await rings.start(1, setup, memory, 0n)).toBeNull();
    const [left, cells] = [mappings.left, fabric.pins.usedCells];
    isFull = true;
    expect(await rings.start(0, setup, memory, 0n)).toEqual({
      fault: RING_FAULT_MEMORY,
      reason: 'its memory cannot be mapped: mmap: ENOMEM',
    });
    expect([rings.state(0), rings.state(1)]).toEqual(['stopped', 'enabled']);
    expect([mappings.left, fabric.pins.usedCells]).toEqual([left, cells]);
    expect(states).toEqual([]);
    isFull = false;
    expect(await rings.start(0, setup, memory, 0n)).toBeNull();
    await rings.stopAll();
  });

  it('do not start beyond the mapping limit of the process, and report that', async () => {
    const mappings = new Budget(10);
    const fabric: Fabric = {
      shared,
      pins: new PinAllocator(),
      raiser: new Raiser(shared.fd),
      mappings,
      processorCount: 4,
      healthOf: () => ({ state: 'running' }),
      broadcast: async () => undefined,
      post: async () => true,
    };
    const whole = { guestAddress: 0n, userAddress: 0n, fileOffset: 0n, sizeBytes: BigInt(SIZE) };
    memory.add(whole, createMemoryFile('ring', SIZE));
    const rings = new RingSet(place, () => 0, fabric, device);
    // Separate pages: a receive ring in four processors takes 3 × 2 × 4 mappings.
    const addresses = { descriptors: 0n, avail: 0x4000n, used: 0x8000n };
    const setup = { ...createRingSetup(), size: 16, addresses, isEnabled: true };
    expect(await rings.start(0, setup, memory, 0n)).toMatchObject({
      fault: RING_FAULT_MEMORY,
      reason: expect.stringMatching(/needs 24 more mappings.*max_map_count.*Raise the limit/),
    });
    expect(fabric.pins.usedCells).toBe(0);
    expect(rings.queues()).toEqual([]);
    expect(await rings.start(1, setup, memory, 0n)).toBeNull(); // on one processor
    expect(mappings.left).toBe(4);
    await rings.stopAll();
    expect(mappings.left).toBe(10);
  });
});
