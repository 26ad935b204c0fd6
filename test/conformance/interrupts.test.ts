import { afterEach, describe, expect, it } from 'vitest';
import * as virtio from '../../layout/virtio.ts';
import { createEventFd } from '../../src/os/event-fd.ts';
import { c } from '../../src/os/libc.ts';
import { scratch } from '../../src/os/scratch.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { stopRing } from '../../src/testing/handshake.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { acquirePoller } from '../../src/testing/shared-poller.ts';
import { VRING_FD_NONE, viewOf, writeU64, writeVringState } from '../../src/vhost-user/message.ts';
import {
  CONTROL_FEATURES,
  command,
  ERROR,
  getQueueCoalescing,
  OK,
  setCoalescing,
  setQueueCoalescing,
} from '../support/control-commands.ts';
import { TestNic } from '../support/test-nic.ts';

const FEATURES = [
  ...MODERN_FEATURES,
  ...CONTROL_FEATURES,
  virtio.VIRTIO_NET_F_NOTF_COAL,
  virtio.VIRTIO_NET_F_VQ_NOTF_COAL,
];
/** In microseconds. Longer than any test, so that only the count causes an interrupt. */
const HOUR = 3_600_000_000;

let lab: TestNic;

afterEach(async () => {
  await lab.finish();
});

/** Sends frames from VF 0 to VF 1, one by one; resolves when all have been delivered. */
async function send(sender: MockGuest, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    sender.send(plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 100, index));
    await sender.waitTransmitted();
  }
}

/** Packets and microseconds of a queue, as the device reports them. */
async function coalescingOf(guest: MockGuest, queue: number): Promise<[number, number, number]> {
  const { ack, result } = await guest.command(getQueueCoalescing(queue), 8);
  const view = viewOf(Uint8Array.of(ack, ...result));
  return [view.getUint32(0, true), view.getUint32(4, true), view.getUint8(8)];
}

describe.each([
  ['split', false],
  ['packed', true],
])('a driver that may have missed an interrupt, on %s rings', (_, packed) => {
  /** How often a descriptor has been raised since the last call. */
  function taken(fd: number): number {
    return c.read(fd, scratch.address, 8) === 8 ? scratch.view.getUint32(0, true) : 0;
  }

  // Its past is unknown: another NIC may have served the ring, or it ran without a descriptor.
  it('is interrupted once when a ring starts, and when a ring gets its first descriptor', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { packed, isRaw: true });
    const { frontEnd } = guest;
    const fd = createEventFd();
    for (const queue of [0, 1]) {
      await frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue)), [fd]);
      expect(taken(fd), 'nothing was lost').toBe(0);
      await frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue | VRING_FD_NONE)));
      await frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue)), [fd]);
      expect(taken(fd), 'there was none').toBe(1);
      const base = await stopRing(frontEnd, queue);
      expect(taken(fd)).toBe(0);
      await frontEnd.send('SET_VRING_BASE', writeVringState(queue, base));
      await frontEnd.send('SET_VRING_KICK', writeU64(BigInt(queue)), [guest.fdsOf(queue).kick]);
      expect(taken(fd), 'a ring that starts').toBe(1);
      await frontEnd.ask('GET_FEATURES');
      expect(taken(fd), 'no more than once').toBe(0);
    }
    c.close(fd);
  });

  it('is interrupted after its processor died: interrupts may have been lost with it', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { packed, isRaw: true });
    await lab.connect(1);
    const fds = [createEventFd(), createEventFd()];
    for (const [queue, fd] of fds.entries()) {
      await guest.frontEnd.send('SET_VRING_CALL', writeU64(BigInt(queue)), [fd]);
    }
    expect(fds.map(taken)).toEqual([0, 0]);
    const { poller, release } = acquirePoller();
    const raised = fds.map((fd) => {
      return new Promise<void>((resolve) => {
        poller.add(fd, () => {
          poller.remove(fd);
          resolve();
        });
      });
    });
    await lab.nic.injectTrap('vf1', 1);
    await Promise.all(raised);
    release();
    expect(fds.map(taken)).toEqual([1, 1]);
    for (const fd of fds) c.close(fd);
  });
});

for (const processors of [1, 2]) {
  describe.each([
    ['split', false],
    ['packed', true],
  ])(`interrupts of a guest on %s rings, with ${processors} processors`, (_, packed) => {
    it('come after the set number of packets', async () => {
      lab = await TestNic.start({ processors });
      const sender = await lab.connect(0);
      const guest = await lab.connect(1, { packed, features: FEATURES });
      expect((await guest.command(setCoalescing('rx', 16, HOUR))).ack).toBe(OK);
      for (let round = 1; round <= 3; round++) {
        await send(sender, 15);
        expect(lab.counter(1, 'rx.interrupts')).toBe(round - 1);
        await send(sender, 1);
        await guest.waitReceived(16);
        // The interrupt is counted at the end of the turn that delivered.
        await expect.poll(() => lab.counter(1, 'rx.interrupts')).toBe(round);
      }
    });

    it.each([
      { where: 'while the processor sleeps', hasUplink: false },
      { where: 'with an idle uplink', hasUplink: true },
    ])('come the set time after the first packet, $where', async ({ hasUplink }) => {
      lab = await TestNic.start({ processors });
      if (hasUplink) await lab.nic.addUplink({ name: 'up', type: 'null' });
      const sender = await lab.connect(0);
      const guest = await lab.connect(1, { packed, features: FEATURES });
      for (const microseconds of [300, 20_000]) {
        await guest.command(setCoalescing('rx', 1000, microseconds));
        for (let round = 0; round < 3; round++) {
          await send(sender, 5);
          await guest.waitReceived(5);
        }
      }
    });

    it('come immediately when coalescing is turned off', async () => {
      lab = await TestNic.start({ processors });
      const sender = await lab.connect(0);
      const guest = await lab.connect(1, { packed, features: FEATURES });
      await guest.command(setCoalescing('rx', 1000, HOUR));
      await send(sender, 10);
      await guest.command(setCoalescing('rx', 5, HOUR));
      await guest.waitReceived(10);
      await send(sender, 3);
      await guest.command(setCoalescing('rx', 0, HOUR));
      await guest.waitReceived(3);
    });

    it('of transmit queues are coalesced separately', async () => {
      lab = await TestNic.start({ processors });
      const guest = await lab.connect(0, { packed, features: FEATURES });
      await lab.connect(1);
      await guest.command(setCoalescing('tx', 8, HOUR));
      const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 100);
      for (let round = 1; round <= 3; round++) {
        for (let index = 0; index < 8; index++) guest.send(frame);
        await guest.waitTransmitted();
        await expect.poll(() => lab.counter(0, 'tx.interrupts')).toBe(round);
      }
    });
  });
}

describe('coalescing', () => {
  it('is as last set, for a queue or for all of its kind, until a reset', async () => {
    lab = await TestNic.start({ vf: { queuePairs: 2 } });
    const guest = await lab.connect(0, { features: FEATURES, queuePairs: 2 });
    expect(await coalescingOf(guest, 0)).toEqual([0, 0, OK]);
    await guest.command(setCoalescing('rx', 10, 20));
    await guest.command(setQueueCoalescing(0, 11, 21));
    await guest.command(setQueueCoalescing(1, 12, 22));
    expect(await coalescingOf(guest, 0)).toEqual([11, 21, OK]);
    expect(await coalescingOf(guest, 2)).toEqual([10, 20, OK]);
    expect(await coalescingOf(guest, 1)).toEqual([12, 22, OK]);
    expect(await coalescingOf(guest, 3)).toEqual([0, 0, OK]);
    await guest.command(setCoalescing('tx', 13, 23));
    expect(await coalescingOf(guest, 1)).toEqual([13, 23, OK]);
    await guest.stopQueue(0);
    await guest.startQueue(0);
    expect(await coalescingOf(guest, 0), 'a queue that was stopped').toEqual([10, 20, OK]);
    const reset = lab.next('reset', 0);
    await guest.frontEnd.send('RESET_DEVICE');
    await reset;
    await guest.restart();
    expect(await coalescingOf(guest, 0)).toEqual([0, 0, OK]);
  });

  it('refuses queues that do not exist, and malformed commands', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { features: FEATURES });
    const { CONTROL_COALESCING, CONTROL_COALESCING_VQ_GET } = virtio;
    const refused = [
      setQueueCoalescing(2, 1, 1), // the control queue
      setQueueCoalescing(3, 1, 1),
      setQueueCoalescing(0xffff, 1, 1),
      setQueueCoalescing(0, 1, 1).subarray(0, 13),
      setCoalescing('rx', 1, 1).subarray(0, 9),
      Uint8Array.of(...setCoalescing('tx', 1, 1), 0),
      command(CONTROL_COALESCING, CONTROL_COALESCING_VQ_GET, [0, 0]),
      command(CONTROL_COALESCING, 4, []),
      getQueueCoalescing(0), // no room for the answer
    ];
    for (const [index, bytes] of refused.entries()) {
      expect((await guest.command(bytes)).ack, `command ${index}`).toBe(ERROR);
    }
    expect(await coalescingOf(guest, 2)).toEqual([0, 0, ERROR]);
    expect(lab.stats(0).control?.refused).toBe(refused.length + 1);
  });
});
