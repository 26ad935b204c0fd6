import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FarEnd, openDgramEnd } from '../../test/support/far-end.ts';
import { TestNic } from '../../test/support/test-nic.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { arpRequest, BROADCAST, macOf, plainFrame } from '../testing/frames.ts';
import type { MockGuest } from '../testing/mock-guest.ts';

let lab: TestNic;
let guest: MockGuest;
const ends: FarEnd[] = [];
const events: string[] = [];

beforeEach(async () => {
  lab = await TestNic.start({ vfs: 2 });
  guest = await lab.connect(0);
  events.length = 0;
  for (const name of ['uplink-up', 'uplink-down', 'uplink-held'] as const) {
    lab.nic.on(name, ({ uplink }) => events.push(`${uplink} ${name}`));
  }
});
afterEach(async () => {
  for (const end of ends.splice(0)) end.close();
  await lab.close();
});

const path = (name: string) => join(lab.directory, `${name}.sock`);
const states = () => lab.nic.uplinks().map(({ state }) => state);

/** A datagram uplink: it sends to the path of the peer. */
async function addUplink(name: string, peer: string, vlan = {}): Promise<void> {
  await lab.nic.addUplink({ name, type: 'dgram', socket: path(name), peer: path(peer), vlan });
}

function next(event: 'uplink-held' | 'uplink-up', name: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    lab.nic.on(event, (detail) => {
      if (detail.uplink === name) resolve('reason' in detail ? detail.reason : undefined);
    });
  });
}

/** Two uplinks at the two ends of one cable. */
async function closeLoop(vlan = {}): Promise<void> {
  await addUplink('first', 'second', vlan);
  const isUp = next('uplink-up', 'first');
  await addUplink('second', 'first', vlan);
  await isUp;
  events.length = 0;
}

describe.each([{}, { trunk: [10], native: 10 }])('a loop of two uplinks, VLANs %j', (vlan) => {
  beforeEach(async () => {
    await lab.nic.setVf('vf0', { vlan });
    await closeLoop(vlan);
  });

  it('is detected by one broadcast that circulates; the second uplink is held', async () => {
    const held = next('uplink-held', 'second');
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000002));
    expect(await held).toBe('makes a loop: first leads into the same network; retried after 30 s');
    expect(states()).toEqual(['up', 'held']);
    expect(events).toEqual(['second uplink-held']);
    const sent = () => lab.nic.stats().uplinks.map(({ rx }) => rx.packets);
    const before = sent();
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000002));
    await guest.waitTransmitted();
    await waitUntil(() => (sent()[0] ?? 0) > (before[0] ?? 0), sent);
    expect(sent()[1]).toBe(before[1]); // nothing circulates any more
    await lab.untilBalanced();
  });

  it('is retried when the second uplink is set', async () => {
    const held = next('uplink-held', 'second');
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000002));
    await held;
    const again = next('uplink-held', 'second');
    const isUp = next('uplink-up', 'second');
    await lab.nic.setUplink('second', { addressesMax: 77 });
    await isUp;
    guest.send(arpRequest(lab.mac(0), 0x0a000001, 0x0a000002));
    expect(await again).toContain('a loop');
  });
});

describe('what is no loop', () => {
  it('is a host that moves between two uplinks a few times, or uses both at once', async () => {
    await addUplink('first', 'left');
    ends.push(openDgramEnd(path('left'), path('first')));
    await addUplink('second', 'right');
    ends.push(openDgramEnd(path('right'), path('second')));
    await waitUntil(() => states().every((state) => state === 'up'), states);
    const received = () => lab.nic.stats().uplinks.map(({ tx }) => tx.packets);
    let frames = 0;
    const say = async (end: number, to: string): Promise<void> => {
      const frame = plainFrame({ to, from: macOf(0x7001) }, 60);
      await waitUntil(() => ends[end]?.send(frame) ?? false, states);
      frames += 1;
      await waitUntil(() => received().reduce((sum, count) => sum + count, 0) === frames, received);
    };
    for (let move = 0; move < 20; move++) await say(move & 1, BROADCAST);
    for (let move = 0; move < 200; move++) await say(move & 1, lab.mac(0));
    expect(states()).toEqual(['up', 'up']);
    expect(events.filter((event) => event.endsWith('held'))).toEqual([]);
  });
});
