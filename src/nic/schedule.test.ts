import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { SHARED_PROMISES } from '../../layout/memory.ts';
import * as layout from '../../layout/scheduler.ts';
import { completeGroup, completeNic, completeUplink, completeVf } from '../config/validate.ts';
import type { VfConfigInput } from '../functions/net/config.ts';
import type { Fabric } from '../processor/fabric.ts';
import type { Message } from '../processor/mailbox.ts';
import { SharedState } from '../state/shared-state.ts';
import type { Kinds } from './kinds.ts';
import { Schedule } from './schedule.ts';

interface Member {
  number: number;
  config: ReturnType<typeof completeVf>;
  rings: { queues(): number[] };
}

let shared: SharedState;
let told: number[];
let vfs: Member[];
let uplinks: { number: number; config: object; capacity: number; rings: Member['rings'] }[];
let capacity: number;
let schedule: Schedule;

beforeEach(() => {
  shared = new SharedState();
  onTestFinished(() => shared.close());
  told = [];
  vfs = [];
  uplinks = [];
  capacity = 0;
  const fabric = {
    shared,
    broadcast: async (message: Message) => {
      if (message.kind === 'promise-changed') told.push(message.node);
    },
  } as unknown as Fabric;
  const kinds = {
    vfs: { all: () => vfs, configs: () => vfs.map(({ config }) => config) },
    uplinks: { all: () => uplinks },
  } as unknown as Kinds;
  schedule = new Schedule(fabric, { kinds: () => kinds, capacity: () => capacity });
});

function vf(number: number, words: Partial<VfConfigInput> = {}, queues = [0, 1]): Member {
  const name = `vf${number}`;
  const config = completeVf({ name, socket: `/s/${number}`, ...words }, 'nic0');
  return { number, config, rings: { queues: () => queues } };
}

const group = (name: string, words: object = {}) => completeGroup({ name, ...words });

function record(node: number) {
  const at = SHARED_PROMISES + node * layout.PROMISE_SIZE;
  const time = (field: number) => shared.view.getFloat64(at + field, true);
  const word = (field: number) => shared.view.getUint32(at + field, true);
  return {
    maxByteNs: time(layout.PROMISE_MAX_BYTE_NS),
    shareByteNs: time(layout.PROMISE_SHARE_BYTE_NS),
    shareTime: time(layout.PROMISE_SHARE_TIME),
    parent: word(layout.PROMISE_PARENT),
    rxByteNs: time(layout.PROMISE_RX_BYTE_NS),
    overhead: word(layout.PROMISE_RX_OVERHEAD),
  };
}

const nothing = {
  ...{ maxByteNs: 0, shareByteNs: 0, shareTime: 0, parent: 0, rxByteNs: 0, overhead: 0 },
};

const changes = async (work: () => void | Promise<void>): Promise<number[]> => {
  told.length = 0;
  await work();
  await schedule.write();
  return told.sort((a, b) => a - b);
};

describe('the records', () => {
  it('of a NIC that promises nothing are all zeros, and no processor is told anything', async () => {
    vfs = [vf(0), vf(1)];
    expect(await changes(() => {})).toEqual([]);
    expect(record(0)).toEqual(nothing);
    expect(record(NODE_ROOT)).toEqual(nothing);
  });

  it('say what each VF, group, uplink and the NIC is promised', async () => {
    capacity = 8e9;
    await schedule.groups.add(group('gold', { txShare: '2G', txMax: '4G' }));
    await schedule.groups.add(group('web', { parent: 'gold' }));
    vfs = [vf(3, { group: 'web', txShare: '1G' }), vf(4, { rxMax: '8G' })];
    const config = completeUplink({ name: 'lan', type: 'null', overhead: 38 });
    uplinks = [{ number: 9, config, capacity: 1e9, rings: vf(9).rings }];
    const [gold, web] = [NODE_FIRST_GROUP, NODE_FIRST_GROUP + 1];
    expect(told, 'groups and the NIC are known without rings').toEqual([NODE_ROOT, gold, web]);
    expect(await changes(() => {})).toEqual([3, 4, 9, web]);
    expect(record(3)).toMatchObject({ shareByteNs: 8, parent: web });
    expect(record(4)).toEqual({ ...nothing, rxByteNs: 1 });
    // The group has its own guarantee, and the one in it what its VF has.
    expect(record(gold)).toMatchObject({ shareByteNs: 4, maxByteNs: 2, parent: 0 });
    expect(record(web)).toMatchObject({ shareByteNs: 8, maxByteNs: 0, parent: gold });
    expect(record(9)).toMatchObject({ rxByteNs: 8, overhead: 38 });
    expect(record(NODE_ROOT)).toMatchObject({ maxByteNs: 1 });
    expect(await changes(() => {}), 'nothing has changed').toEqual([]);
  });

  it('of others follow a change of the sum, and the processors hear of each', async () => {
    vfs = [vf(0, { txShare: '8G' }), vf(1, { txShare: '8G' }), vf(2)];
    await schedule.write();
    const time = record(0).shareTime;
    const changed = await changes(() => {
      vfs[1] = vf(1, { txShare: '16G' });
    });
    expect(changed).toEqual([0, 1]);
    expect(record(0).shareTime).toBeGreaterThan(time);
  });

  it('of a VF that has gone promise nothing to the next one of its number', async () => {
    vfs = [vf(0, { txMax: '1G', txShare: '1G' }), vf(1, { txShare: '1G' })];
    await schedule.write();
    expect(await changes(() => void vfs.shift())).toEqual([]);
    expect(record(0)).toEqual(nothing);
  });

  it('are written before a function has rings, without telling anybody', async () => {
    expect(await changes(() => void vfs.push(vf(5, { txMax: '1G' }, [])))).toEqual([]);
    expect(record(5)).toMatchObject({ maxByteNs: 8 });
  });

  it('stay as they are while the NIC closes', async () => {
    vfs = [vf(0, { txMax: '1G' })];
    await schedule.write();
    schedule.close();
    expect(await changes(() => void vfs.pop())).toEqual([]);
    expect(record(0)).toMatchObject({ maxByteNs: 8 });
  });
});

describe('groups', () => {
  it('take the place of one that has gone, with an account from scratch', async () => {
    await schedule.groups.add(group('a', { txMax: '1G' }));
    await schedule.groups.add(group('b', { txMax: '1G' }));
    await schedule.groups.remove('a');
    expect(record(NODE_FIRST_GROUP)).toEqual(nothing);
    await schedule.groups.add(group('c', { txMax: '2G' }));
    expect(schedule.groups.nodeOf('c')).toBe(NODE_FIRST_GROUP);
    expect(schedule.groups.nodeOf('b')).toBe(NODE_FIRST_GROUP + 1);
  });

  it('that change places one after the other are never below themselves', async () => {
    await schedule.groups.add(group('a'));
    await schedule.groups.add(group('b', { parent: 'a' }));
    const [a, b] = [NODE_FIRST_GROUP, NODE_FIRST_GROUP + 1];
    expect([record(a).parent, record(b).parent]).toEqual([0, a]);
    await schedule.groups.change(group('a', { parent: 'b' }));
    expect([record(a).parent, record(b).parent]).toEqual([0, 0]);
    await schedule.groups.change(group('b'));
    expect([record(a).parent, record(b).parent]).toEqual([b, 0]);
  });

  it('are refused if they do not suit the NIC, or are not empty', async () => {
    const nic = completeNic({ groups: [{ name: 'gold', txShare: '1G' }] });
    await schedule.groups.add(group('gold', { txShare: '1G' }));
    const refused = { code: 'HEDDLE_SHARES_EXCEEDED' };
    const rich = { name: 'web', parent: 'gold', txShare: '2G' };
    await expect(schedule.groups.create(rich, nic)).rejects.toMatchObject(refused);
    await schedule.groups.create({ name: 'web', parent: 'gold' }, nic);
    await expect(schedule.groups.remove('gold')).rejects.toThrow('still has members: web');
    await expect(schedule.groups.edit('tin', {}, nic)).rejects.toThrow('no group named tin');
    await schedule.groups.edit('web', { parent: 'none' }, { ...nic, groups: [group('web')] });
    await schedule.groups.remove('gold');
    expect(schedule.groups.infos()).toEqual([{ ...group('web'), members: [] }]);
  });

  it('are saved with their nodes, and restored there', async () => {
    await schedule.groups.add(group('a'));
    await schedule.groups.add(group('b'));
    await schedule.groups.remove('a');
    const saved = schedule.groups.save();
    await schedule.groups.change(group('b', { txMax: '1G' }));
    expect(saved).toEqual([{ config: group('b'), node: NODE_FIRST_GROUP + 1 }]);
    await schedule.groups.remove('b');
    schedule.groups.restore(saved);
    expect(schedule.groups.save()).toEqual(saved);
  });
});
