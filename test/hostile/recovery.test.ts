import { closeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { TRAPS_MAX } from '../../src/functions/quarantine.ts';
import { F_ADD_SEALS, F_SEAL_FUTURE_WRITE } from '../../src/os/constants.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { memoryTable, negotiate } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { writeU64, writeVringAddress, writeVringState } from '../../src/vhost-user/message.ts';
import { isRaised } from '../support/event-fd.ts';
import { TestNic } from '../support/test-nic.ts';

// A processor dies, as seen by the guests: innocent ones continue after a moment.

const SEALED = expect.stringMatching(/cannot be mapped: mmap failed: EPERM/);

let lab: TestNic | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

function restarts(nic: TestNic): number {
  return nic.nic.stats().processors.reduce((sum, one) => sum + one.restarts, 0);
}

/** Sends a frame from one guest to another, and waits for it. */
async function pass(nic: TestNic, guests: readonly MockGuest[], from: number, to: number) {
  const frame = plainFrame({ to: nic.mac(to), from: nic.mac(from) }, 200, from * 10 + to);
  guests[from]?.send(frame);
  // Frames to a port that is gone are flooded: they may arrive in between.
  for (;;) {
    const received = Buffer.from((await guests[to]?.nextFrame()) ?? []);
    if (received.subarray(0, 12).equals(frame.subarray(0, 12))) {
      expect(received.equals(frame)).toBe(true);
      return;
    }
  }
}

describe('a ring that two processors deliver to, and that one of them traps on', () => {
  it('is not touched by the other', async () => {
    const nic = await TestNic.start({ processors: 2, vfs: 3 });
    lab = nic;
    const guests = [await nic.connect(0), await nic.connect(1), await nic.connect(2)];
    const fault = nic.next('fault', 2);
    expect(await nic.nic.injectTrap('vf2', 0)).toBe(true); // in both of them
    for (const from of [0, 1]) {
      const frame = plainFrame({ to: nic.mac(2), from: nic.mac(from) }, 100);
      for (let count = 0; count < 64; count++) guests[from]?.send(frame);
    }
    await fault;
    for (const from of [0, 1]) await guests[from]?.waitTransmitted();
    await pass(nic, guests, 0, 1);
    await pass(nic, guests, 1, 0);
    expect(restarts(nic)).toBe(1);
    expect(nic.nic.vf('vf2')).toMatchObject({ state: 'faulted' });
  });
});

describe('a ring that is aligned for its front-end but not in its file', () => {
  it('is set aside, and no processor traps on it', async () => {
    const nic = await TestNic.start({ vfs: 3 });
    lab = nic;
    const frontEnd = FrontEnd.connect(nic.socket(0));
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    const sizeBytes = 0x100000;
    const userAddress = 0x7e00_0000_0001; // odd, while its offset in the file is even
    const fd = createMemoryFile('odd', sizeBytes);
    const region = { guestAddress: 0, sizeBytes, userAddress, fileOffset: 0, fd };
    await frontEnd.send('SET_MEM_TABLE', memoryTable([region]).payload, [fd]);
    const error = createEventFd();
    const kick = createEventFd();
    const at = BigInt(userAddress) + 0xfn;
    const parts = { descriptors: at, avail: at + 0x10000n, used: at + 0x20000n, log: 0n };
    await frontEnd.send('SET_VRING_ERR', writeU64(1n), [error]);
    await frontEnd.send('SET_VRING_NUM', writeVringState(1, 256));
    await frontEnd.send('SET_VRING_ADDR', writeVringAddress({ index: 1, flags: 0, ...parts }));
    await frontEnd.send('SET_VRING_KICK', writeU64(1n), [kick]);
    const { state, rings } = nic.nic.vf('vf0');
    expect(state).toBe('faulted');
    expect(rings).toMatchObject([
      { queue: 1, state: 'faulted', fault: expect.stringMatching(/misaligned in its file/) },
    ]);
    await expect.poll(() => isRaised(error)).toBe(true);
    // The ring's processor continues to serve others.
    const guests = [await nic.connect(1), await nic.connect(2)];
    guests[0]?.send(plainFrame({ to: nic.mac(2), from: nic.mac(1) }, 100));
    await guests[1]?.nextFrame();
    expect(restarts(nic)).toBe(0);
    expect(nic.stats(0).tx).toMatchObject({ faults: 1, faultReasons: { setup: 1 } });
    frontEnd.close();
    for (const one of [fd, error, kick]) closeSync(one);
  });
});

describe('memory that is sealed against mapping after its rings have started', () => {
  it('costs only its own rings when the processor is replaced', async () => {
    const nic = await TestNic.start({ vfs: 4 });
    lab = nic;
    const hostage = await nic.connect(0);
    const guests = [hostage, await nic.connect(1), await nic.connect(2), await nic.connect(3)];
    for (const { fd } of hostage.queues.memory.regions) {
      expect(c.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)).toBe(0);
    }
    const faults = new Set<string>();
    nic.nic.on('fault', ({ vf, queue }) => faults.add(`${vf} queue ${queue}`));
    await nic.nic.injectTrap('vf1', 1);
    await pass(nic, guests, 2, 3);
    await pass(nic, guests, 3, 2);
    await expect
      .poll(() => [...faults].sort())
      .toEqual(['vf0 queue 0', 'vf0 queue 1', 'vf1 queue 1']);
    expect(nic.nic.vf('vf0')).toMatchObject({ state: 'faulted', lastFault: SEALED });
    expect(nic.nic.vf('vf0').rings.map(({ state }) => state)).toEqual(['faulted', 'faulted']);
    expect(nic.nic.vf('vf2').state).toBe('ready');
    expect(nic.stats(0).rx.faultReasons).toEqual({ memory: 1 });
    expect(restarts(nic)).toBe(1);
  });

  it('prevents a further ring from starting, which leaves nothing behind', async () => {
    const nic = await TestNic.start({ vfs: 3 });
    lab = nic;
    const hostage = await nic.connect(0, { queues: [1] });
    for (const { fd } of hostage.queues.memory.regions) {
      expect(c.fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)).toBe(0);
    }
    await hostage.startQueue(0);
    expect(nic.nic.vf('vf0')).toMatchObject({ state: 'faulted', lastFault: SEALED });
    const states = nic.nic.vf('vf0').rings.map(({ queue, state }) => `${queue} ${state}`);
    expect(states).toEqual(['0 faulted', '1 enabled']);
    const guests = [hostage, await nic.connect(1), await nic.connect(2)];
    await pass(nic, guests, 1, 2);
    await nic.disconnect(0, hostage);
    const again = await nic.connect(0);
    await pass(nic, [again, ...guests.slice(1)], 1, 0);
    await pass(nic, [again, ...guests.slice(1)], 0, 1);
    expect(restarts(nic)).toBe(0);
  });
});

describe('a ring that starts while its processor is being replaced', () => {
  it('is attached once, and the others come back', async () => {
    const nic = await TestNic.start({ vfs: 4 });
    lab = nic;
    const victim = await nic.connect(0);
    const late = await nic.connect(1, { queues: [0] });
    const guests = [victim, late, await nic.connect(2), await nic.connect(3)];
    const fault = nic.next('fault', 0);
    await nic.nic.injectTrap('vf0', 1);
    await fault; // the processor is dead, and the next one is starting
    await late.startQueue(1);
    await pass(nic, guests, 2, 3);
    await pass(nic, guests, 1, 2);
    await pass(nic, guests, 2, 1);
    expect(nic.nic.vf('vf1').rings.map(({ state }) => state)).toEqual(['enabled', 'enabled']);
    expect(restarts(nic)).toBe(1);
  });
});

describe('a VF whose rings make the firmware trap repeatedly', () => {
  /** Makes a ring of the VF trap, and restarts it as its driver would. */
  async function trap(nic: TestNic, guests: readonly [MockGuest, ...MockGuest[]]): Promise<void> {
    const [guest] = guests;
    // The others are attached after this VF, so their frames show that its rings are attached.
    await pass(nic, guests, 1, 2);
    const fault = nic.next('fault', 0);
    await nic.nic.injectTrap('vf0', 1);
    await fault;
    await guest.stopQueue(1);
    guest.queues.queue(1).reset(0);
    await guest.startQueue(1);
  }

  async function connectThree(nic: TestNic): Promise<[MockGuest, MockGuest, MockGuest]> {
    return [await nic.connect(0), await nic.connect(1), await nic.connect(2)];
  }

  it('is held, with a reason, and resumes by itself, while others continue', async () => {
    const nic = await TestNic.start({ vfs: 3 });
    lab = nic;
    const guests = await connectThree(nic);
    const held = nic.next('quarantine', 0);
    const released = nic.next('quarantine-end', 0);
    for (let traps = 0; traps < TRAPS_MAX; traps++) await trap(nic, guests);
    await held;
    const { state, rings, lastFault } = nic.nic.vf('vf0');
    expect(lastFault).toMatch(/in quarantine for 1 s: .* trap 3 times/);
    expect([state, ...rings.map((ring) => ring.state)]).toEqual(['faulted', 'faulted', 'faulted']);
    await pass(nic, guests, 1, 2);
    await released;
    await pass(nic, guests, 0, 1);
    await pass(nic, guests, 1, 0);
    expect(nic.nic.vf('vf0').state).toBe('ready');
  });

  it('is released when its operator changes it', async () => {
    const nic = await TestNic.start({ vfs: 3 });
    lab = nic;
    const guests = await connectThree(nic);
    const held = nic.next('quarantine', 0);
    for (let traps = 0; traps < TRAPS_MAX; traps++) await trap(nic, guests);
    await held;
    const released = nic.next('quarantine-end', 0);
    await nic.nic.setVf('vf0', {});
    await released;
    await pass(nic, guests, 0, 1);
  });
});
