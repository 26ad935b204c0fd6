import { afterEach, describe, expect, it } from 'vitest';
import { TestNic } from '../../../test/support/test-nic.ts';
import { BROADCAST, plainFrame } from '../../testing/frames.ts';
import type { MockGuest } from '../../testing/mock-guest.ts';

let lab: TestNic;
let guests: (MockGuest | null)[];

async function start(processors: number): Promise<void> {
  lab = await TestNic.start({ vfs: 4, processors });
  guests = [];
  for (let number = 0; number < 4; number++) guests.push(await lab.connect(number));
}
afterEach(() => lab.close());

/** Sends one frame and returns who received it. */
async function reach(from: number, to: string, source = lab.mac(from)): Promise<number[]> {
  const received = () => guests.map((_, number) => lab.counter(number, 'rx.packets'));
  const before = received();
  const guest = guests[from] as MockGuest;
  await guest.sendAll([plainFrame({ to, from: source }, 80)]);
  await guest.waitTransmitted();
  const after = received();
  return guests.flatMap((_, number) => (after[number] === before[number] ? [] : [number]));
}

const owner = (number: number) =>
  lab.nic
    .fdb()
    .filter(({ mac }) => mac === lab.mac(number))
    .map(({ vf, isStatic }) => `${vf} ${isStatic ? 'static' : 'learned'}`);

async function leave(number: number): Promise<void> {
  await lab.disconnect(number, guests[number] as MockGuest);
  guests[number] = null;
}

describe.each([1, 2])("a VF's own address, with %i processors", (processors) => {
  it('is not in the table before its guest connects, or after it has gone', async () => {
    await start(processors);
    expect(owner(1)).toEqual(['vf1 static']);
    await leave(1);
    expect(owner(1)).toEqual([]);
    const socket = `${lab.directory}/late.sock`;
    await lab.nic.addVf({ name: 'late', socket, mac: '02:00:00:00:00:99' });
    expect(lab.nic.fdb().map(({ vf }) => vf)).not.toContain('late');
    expect(await reach(0, lab.mac(1))).toEqual([2, 3]);
    expect(lab.drops(0)).toEqual({});
  });

  it('moves to where it is used while its guest is away, and returns with the guest', async () => {
    await start(processors);
    await leave(1);
    await reach(2, BROADCAST, lab.mac(1)); // the VM now runs behind another port
    expect(owner(1)).toEqual(['vf2 learned']);
    expect(await reach(0, lab.mac(1))).toEqual([2]);
    await reach(3, BROADCAST, lab.mac(1)); // and moves on
    expect(await reach(0, lab.mac(1))).toEqual([3]);
    guests[1] = await lab.connect(1);
    expect(owner(1)).toEqual(['vf1 static']);
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });

  it('cannot be taken over while its guest is there', async () => {
    await start(processors);
    for (let i = 0; i < 3; i++) await reach(2, BROADCAST, lab.mac(1));
    expect(owner(1)).toEqual(['vf1 static']);
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });

  it('goes and comes with the link', async () => {
    await start(processors);
    await lab.nic.setVf('vf1', { linkState: 'disable' });
    expect(owner(1)).toEqual([]);
    await reach(2, BROADCAST, lab.mac(1)); // a bond in the guest fails over
    expect(await reach(0, lab.mac(1))).toEqual([2]);
    await lab.nic.setVf('vf1', { linkState: 'enable' });
    expect(await reach(0, lab.mac(1))).toEqual([1]);
    await reach(2, BROADCAST, lab.mac(1));
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });

  it('of a trunk returns in each of its VLANs', async () => {
    await start(processors);
    await lab.nic.setVf('vf0', { vlan: { access: 10 } });
    await lab.nic.setVf('vf2', { vlan: { access: 10 } });
    await lab.nic.setVf('vf1', { vlan: { trunk: [10, 20] } });
    expect(await reach(0, lab.mac(1))).toEqual([1]);
    await lab.nic.setVf('vf1', { linkState: 'disable' });
    await reach(2, BROADCAST, lab.mac(1));
    expect(await reach(0, lab.mac(1))).toEqual([2]);
    await lab.nic.setVf('vf1', { linkState: 'enable' });
    expect(owner(1)).toEqual(['vf1 static']);
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });

  it('changes in place, and nothing leads to the old one', async () => {
    await start(processors);
    const old = lab.mac(1);
    await lab.nic.setVf('vf1', { mac: '02:00:00:00:00:77' });
    expect(owner(1)).toEqual([]);
    expect(await reach(0, '02:00:00:00:00:77')).toEqual([1]);
    expect(await reach(0, old)).toEqual([1, 2, 3]);
  });

  it('survives the death of a processor', async () => {
    await start(processors);
    const fault = lab.next('fault', 3);
    await lab.nic.injectTrap('vf3', 1);
    (guests[3] as MockGuest).kick(1);
    await fault;
    await lab.nic.setVf('vf0', { allowUnsealedMemory: true }); // behind the replacement
    expect(owner(1)).toEqual(['vf1 static']);
    await reach(2, BROADCAST, lab.mac(1));
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });
});
