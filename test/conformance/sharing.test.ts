import { afterEach, expect, it } from 'vitest';
import { NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { SHARED_PROMISES } from '../../layout/memory.ts';
import { PROMISE_MAX_BYTE_NS, PROMISE_PARENT, PROMISE_SIZE } from '../../layout/scheduler.ts';
import { SharedState } from '../../src/state/shared-state.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { exchange } from '../support/exchange.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// What a NIC is told to promise is at once where its processors read it. No guest notices, and it
// is still there after whatever a NIC survives.

let lab: TestNic;
afterEach(() => lab.finish());

/** A node's maximum in ns per byte, and its parent. */
function promised(node: number, sharedFd = lab.nic.save().sharedFd): [number, number] {
  const { view } = new SharedState(sharedFd);
  const record = SHARED_PROMISES + node * PROMISE_SIZE;
  const maximum = view.getFloat64(record + PROMISE_MAX_BYTE_NS, true);
  return [maximum, view.getUint32(record + PROMISE_PARENT, true)];
}

function nodeOf(number: number): number {
  const vf = lab.nic.save().vfs.find(({ config }) => config.name === `vf${number}`);
  if (vf === undefined) throw new Error(`assertion: no VF ${number}`);
  return vf.number;
}

async function startWithGuests(): Promise<[MockGuest, MockGuest]> {
  lab = await TestNic.start({ vfs: 2, vf: { txMax: '8Gbit' } });
  return [await lab.connect(0), await lab.connect(1)];
}

const passes = ([one, two]: [MockGuest, MockGuest], seed: number): Promise<void> =>
  exchange(lab, [0, one], [1, two], { count: 100, seed });

it('all words change while guests send, and no guest notices', async () => {
  const guests = await startWithGuests();
  let reconnects = 0;
  lab.nic.on('disconnect', () => reconnects++);
  expect(promised(nodeOf(0))).toEqual([1, 0]);
  await passes(guests, 1);
  await lab.nic.addGroup({ name: 'gold', txMax: '4Gbit' });
  await lab.nic.setVf('vf0', { group: 'gold', txMax: '2Gbit', txShare: '1Gbit', rxMax: '1Gbit' });
  expect(promised(nodeOf(0))).toEqual([4, NODE_FIRST_GROUP]);
  expect(promised(NODE_FIRST_GROUP)).toEqual([2, 0]);
  await passes(guests, 2);
  await lab.nic.setGroup('gold', { txMax: 'none' });
  expect(promised(NODE_FIRST_GROUP)).toEqual([0, 0]);
  await lab.nic.apply({ ...lab.nic.config(), capacity: '40Gbit' });
  expect(promised(NODE_ROOT)).toEqual([0.2, 0]);
  await passes(guests, 3);
  expect(reconnects).toBe(0);
  expect(lab.nic.group('gold').members).toEqual(['vf0']);
  await expect(lab.nic.removeGroup('gold')).rejects.toThrow('still has members: vf0');
});

it('a configuration brings groups before what is in them, and takes them after', async () => {
  await startWithGuests();
  const before = lab.nic.config();
  const vfs = before.vfs.map((vf) => ({ ...vf, group: 'web' }));
  const groups = [{ name: 'gold' }, { name: 'web', parent: 'gold' }];
  const actions = await lab.nic.apply({ ...before, groups, vfs });
  expect(actions.map(({ type }) => type)).toEqual(['add-group', 'add-group', 'set-vf', 'set-vf']);
  expect(promised(nodeOf(1))).toEqual([1, NODE_FIRST_GROUP + 1]);
  expect(promised(NODE_FIRST_GROUP + 1)).toEqual([0, NODE_FIRST_GROUP]);
  const back = await lab.nic.apply(before);
  expect(back.map(({ type }) => type)).toEqual([
    ...['set-vf', 'set-vf', 'remove-group', 'remove-group'],
  ]);
  expect(promised(nodeOf(1))).toEqual([1, 0]);
});

it('a group stays if a VF in it could not be moved to where it should be', async () => {
  await startWithGuests();
  await lab.nic.addGroup({ name: 'gold' });
  await lab.nic.setVf('vf1', { group: 'gold' });
  const { groups: _, ...wanted } = lab.nic.config();
  const [first, second] = wanted.vfs;
  const nowhere = { ...second!, group: 'none', socket: `${lab.directory}/missing/1.sock` };
  const applying = lab.nic.apply({ ...wanted, groups: [], vfs: [first!, nowhere] });
  await expect(applying).rejects.toMatchObject({
    code: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
    also: [{ code: 'HEDDLE_GROUP_NOT_EMPTY' }],
  });
  expect(lab.nic.group('gold').members).toEqual(['vf1']);
  expect(promised(nodeOf(1))).toEqual([1, NODE_FIRST_GROUP]);
});

it('a restored NIC promises the same, whatever its predecessor has left', async () => {
  const guests = await startWithGuests();
  await lab.nic.addGroup({ name: 'silver' });
  await lab.nic.addGroup({ name: 'gold', txMax: '4Gbit' });
  await lab.nic.removeGroup('silver');
  await lab.nic.setVf('vf0', { group: 'gold' });
  const config = lab.nic.config();
  await lab.succeed({
    meanwhile: ({ sharedFd }) => {
      const { view } = new SharedState(sharedFd);
      const records = SHARED_PROMISES + nodeOf(0) * PROMISE_SIZE;
      new Uint8Array(view.buffer, records, PROMISE_SIZE).fill(0);
      expect(promised(nodeOf(0), sharedFd)).toEqual([0, 0]);
    },
  });
  expect(lab.nic.config()).toEqual(config);
  expect(promised(nodeOf(0))).toEqual([1, NODE_FIRST_GROUP + 1]);
  expect(promised(NODE_FIRST_GROUP + 1)).toEqual([2, 0]);
  await passes(guests, 1);
});

it('an account has what its VF has sent, and a group has what those in it have', async () => {
  lab = await TestNic.start({ vfs: 2 });
  await lab.nic.addGroup({ name: 'gold' });
  await lab.nic.setVf('vf0', { group: 'gold' });
  const guests = [await lab.connect(0), await lab.connect(1)] as const;
  await passes([...guests], 1);
  const accounts = () => {
    const { groups, vfs } = lab.nic.stats();
    return [vfs[0]!.account, groups[0]!.account];
  };
  // A batch is charged after it is done.
  await waitUntil(() => accounts().every(({ packets }) => packets === 100), accounts);
  for (const { bytes, workNanoseconds, heldNanoseconds, guaranteedBytes } of accounts()) {
    expect(bytes).toBe(lab.counter(0, 'tx.bytes'));
    expect(workNanoseconds).toBeGreaterThan(0);
    expect([heldNanoseconds, guaranteedBytes]).toEqual([0, 0]);
  }
});

it('a VF that takes the number of another one is promised nothing, and has had nothing', async () => {
  await startWithGuests();
  const number = nodeOf(1);
  await lab.nic.removeVf('vf1');
  expect(promised(number)).toEqual([0, 0]);
  await lab.nic.addVf({ name: 'vf1', socket: lab.socket(1) });
  expect(nodeOf(1)).toBe(number);
  expect(promised(number)).toEqual([0, 0]);
  const { workNanoseconds, ...had } = lab.stats(1).account;
  expect(Object.values(had)).toEqual([0, 0, 0, 0]);
  expect(workNanoseconds, 'the message that adds its port').toBeLessThan(10e6);
});

it('an uplink is sent no more than its capacity, which changes in place', async () => {
  lab = await TestNic.start({ vfs: 1 });
  await lab.nic.addUplink({ name: 'up', type: 'loopback', capacity: '8Gbit' });
  let downs = 0;
  lab.nic.on('uplink-down', () => downs++);
  expect(await lab.nic.setUplink('up', { capacity: '1Gbit', overhead: 38 })).toMatchObject({
    ...{ capacity: 1e9, overhead: 38, state: 'up' },
  });
  expect(downs).toBe(0);
});
