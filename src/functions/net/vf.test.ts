import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1 } from '../../../layout/virtio.ts';
import { TestNic } from '../../../test/support/test-nic.ts';
import type { NicEventName } from '../../nic/types.ts';
import { FrontEnd, RequestRefused } from '../../testing/front-end.ts';
import { negotiate } from '../../testing/handshake.ts';
import { MockGuest } from '../../testing/mock-guest.ts';
import { writeU64 } from '../../vhost-user/message.ts';
import type { FunctionState } from '../types.ts';

const EVENTS = ['connect', 'ready', 'fault', 'reset', 'disconnect'] as const;

describe('a VF', () => {
  let lab: TestNic;
  let seen: NicEventName[];

  beforeEach(async () => {
    lab = await TestNic.start({ vfs: 1 });
    seen = [];
    for (const event of EVENTS) lab.nic.on(event, () => seen.push(event));
  });

  afterEach(() => lab.close());

  function state(): FunctionState {
    return lab.nic.vf('vf0').state;
  }

  it('is down, connected, ready and down again as its front-end comes and goes', async () => {
    expect(state()).toBe('down');
    const guest = await MockGuest.negotiate(FrontEnd.connect(lab.socket(0)));
    expect(state()).toBe('connected');
    await guest.start();
    expect(state()).toBe('ready');
    for (const queue of [0, 1]) await guest.stopQueue(queue);
    expect(state()).toBe('connected');
    await lab.disconnect(0, guest);
    expect(state()).toBe('down');
    expect(seen).toEqual(['connect', 'ready', 'disconnect']);
  });

  it('reports a few refused requests individually, and counts the others', async () => {
    const COUNT = 500;
    const told: string[] = [];
    lab.nic.on('fault', ({ reason }) => told.push(reason));
    const frontEnd = FrontEnd.connect(lab.socket(0));
    await negotiate(frontEnd, [VIRTIO_F_VERSION_1]);
    for (let asked = 0; asked < COUNT; asked++) {
      await expect(frontEnd.send('NET_SET_MTU', writeU64(1n))).rejects.toThrow(RequestRefused);
    }
    expect(lab.nic.vf('vf0').lastFault).toMatch(/MTU 1/);
    const gone = lab.next('disconnect', 0);
    frontEnd.close();
    await gone;
    const more = told.map((reason) => Number(/(\d+) more/.exec(reason)?.[1] ?? 0));
    const isOnlyCount = (reason: string) => /^\d+ more/.test(reason);
    const single = told.filter((reason) => !isOnlyCount(reason)).length;
    expect(more.reduce((sum, count) => sum + count, single)).toBe(COUNT);
    expect(told.length).toBeLessThan(COUNT / 5);
  });

  it('turns away a second front-end while it has one', async () => {
    const guest = await lab.connect(0);
    for (let tries = 0; tries < 3; tries++) await FrontEnd.connect(lab.socket(0)).closed;
    expect(state()).toBe('ready');
    await guest.frontEnd.ask('GET_FEATURES');
    expect(seen).toEqual(['connect', 'ready']);
  });

  it('accepts the next front-end if it arrives while the last one leaves', async () => {
    for (let round = 0; round < 10; round++) {
      const guest = await lab.connect(0, { seed: round });
      // Both reach the NIC in one batch of events, in either order.
      const gone = lab.next('disconnect', 0);
      const back = lab.next('connect', 0);
      guest.close();
      const next = FrontEnd.connect(lab.socket(0));
      await Promise.all([gone, back]);
      await next.ask('GET_FEATURES');
      const isDown = lab.next('disconnect', 0);
      next.close();
      await isDown;
    }
    expect(state()).toBe('down');
  });

  it('is faulted when a ring breaks, and ready again after a reset', async () => {
    const guest = await lab.connect(0, { isRaw: true });
    const fault = lab.next('fault', 0);
    guest.queues.ring(1).availIndex = 5000;
    guest.queues.ring(1).publish();
    guest.kick(1);
    await fault;
    expect(state()).toBe('faulted');
    expect(lab.nic.vf('vf0').lastFault).toMatch(/avail index/);
    const states = lab.nic.vf('vf0').rings.map((ring) => ring.state);
    expect(states).toEqual(['enabled', 'faulted']);
    await guest.frontEnd.send('RESET_DEVICE');
    expect(state()).toBe('connected');
    await guest.restart();
    expect(state()).toBe('ready');
    expect(seen).toEqual(['connect', 'ready', 'fault', 'reset', 'ready']);
  });

  it('is faulted when it refuses a request, until the rings run anyway', async () => {
    const frontEnd = FrontEnd.connect(lab.socket(0));
    const guest = await MockGuest.negotiate(frontEnd);
    const fault = lab.next('fault', 0);
    await expect(frontEnd.send('SET_STATUS', new Uint8Array(8).fill(255))).rejects.toThrow();
    await fault;
    expect(state()).toBe('faulted');
    expect(lab.nic.vf('vf0').lastFault).toMatch(/SET_STATUS: status/);
    await guest.start();
    expect(state()).toBe('ready');
    await lab.disconnect(0, guest);
  });
});
