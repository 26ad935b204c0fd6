import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { operatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import { applyActions } from './apply-actions.ts';
import { actionText, diffConfig } from './diff.ts';
import type { Action, NicChanges, NicConfig } from './types.ts';
import { completeNic } from './validate.ts';

const nic = (vfs: unknown[], rest: object = {}): NicConfig => completeNic({ ...rest, vfs });
const vm1 = { name: 'vm1', socket: '/s/1' };
const vm2 = { name: 'vm2', socket: '/s/2' };

function actions(running: NicConfig, wanted: NicConfig): string[] {
  return diffConfig(running, wanted).map(actionText);
}

describe('the difference of two configurations', () => {
  it('is nothing for equal ones, in any order', () => {
    expect(actions(nic([vm1, vm2]), nic([vm2, vm1]))).toEqual([]);
  });

  it('adds and removes', () => {
    expect(actions(nic([vm1]), nic([vm2]))).toEqual([
      '- vm1',
      expect.stringMatching(/^\+ vm2 {2}\/s\/2 {2}02:/),
    ]);
  });

  it('changes the MAC and allowUnsealedMemory in place', () => {
    const wanted = { ...vm1, mac: '02:00:00:00:00:01', allowUnsealedMemory: true };
    expect(actions(nic([vm1]), nic([wanted]))).toEqual([
      '~ vm1  mac=02:00:00:00:00:01 allowUnsealedMemory=true',
    ]);
  });

  it.each([{ socket: '/s/9' }, { mode: 'client' }, { queuePairs: 2 }, { mtu: 9000 }])(
    'replaces a VF for %o',
    (change) => {
      const [action] = diffConfig(nic([vm1, vm2]), nic([vm1, { ...vm2, ...change }]));
      expect(action).toMatchObject({ type: 'replace-vf', name: 'vm2', changes: change });
    },
  );

  it('sets the ageing time of the NIC', () => {
    expect(actions(nic([]), nic([], { macAgeSeconds: 60 }))).toEqual([
      '~ the NIC  macAgeSeconds=60',
    ]);
  });

  it.each([
    ['name', { name: 'nic1' }],
    ['processors', { processors: 2 }],
  ])('refuses another %s', (key, change) => {
    expect(() => diffConfig(nic([]), nic([], change))).toThrow(
      `Cannot change ${key} of a running NIC: received`,
    );
  });

  it('refuses another control socket, but not its absence', () => {
    const running = nic([], { control: '/c' });
    expect(() => diffConfig(running, nic([], { control: '/d' }))).toThrow('Cannot change control');
    expect(diffConfig(running, nic([]))).toEqual([]);
  });
});

const vfs = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    socket: fc.integer({ min: 1, max: 6 }).map((n) => `/s/${n}`),
    mode: fc.constantFrom('server', 'client'),
    mac: fc.integer({ min: 1, max: 6 }).map((n) => `02:00:00:00:00:0${n}`),
    queuePairs: fc.integer({ min: 1, max: 2 }),
    mtu: fc.constantFrom(1500, 9000),
    allowUnsealedMemory: fc.boolean(),
  }),
  {
    selector: (vf) => [vf.name, vf.mac, vf.socket],
    comparator: (a, b) => a.some((x, i) => x === b[i]),
  },
);
const configs = fc
  .record({ vfs, macAgeSeconds: fc.constantFrom(60, 300) })
  .map((config) => completeNic(config));

const nothing = async (): Promise<void> => {};
const noFunctions = { add: nothing, remove: nothing, change: nothing };
const noTarget = {
  groups: noFunctions,
  vfs: noFunctions,
  uplinks: noFunctions,
  rngs: noFunctions,
  setNic: nothing,
};

/** Carries out actions as a strict NIC would: nothing may exist twice. */
async function carryOut(
  running: NicConfig,
  list: Action[],
): Promise<NicConfig & { touched: string[] }> {
  const vfs = new Map<string, VfConfig>(running.vfs.map((vf) => [vf.name, vf]));
  const touched: string[] = [];
  let { macAgeSeconds, capacity } = running;
  await applyActions(list, {
    ...noTarget,
    vfs: {
      async remove(name) {
        expect(vfs.delete(name)).toBe(true);
        touched.push(name);
      },
      async add(vf: VfConfig) {
        expect([...vfs.values()].map(({ socket }) => socket)).not.toContain(vf.socket);
        expect([...vfs.values()].map(({ mac }) => mac)).not.toContain(vf.mac);
        vfs.set(vf.name, vf);
      },
      async change(vf: VfConfig) {
        expect(vfs.has(vf.name)).toBe(true);
        vfs.set(vf.name, vf);
      },
    },
    async setNic(changes) {
      ({ macAgeSeconds = macAgeSeconds, capacity = capacity } = changes);
    },
  });
  return { ...running, macAgeSeconds, capacity, vfs: [...vfs.values()], touched };
}

describe('an action', () => {
  it('of each type does what its name says to functions of its kind', async () => {
    const config = (names: string[], [mtu, gro]: [number, boolean], macAgeSeconds: number) =>
      completeNic({
        macAgeSeconds,
        groups: names.map((name) => ({ name: `g-${name}`, txMax: mtu * 1e6 })),
        vfs: names.map((name) => ({ name, socket: `/s/${name}`, mac: macs[name], mtu, gro })),
        uplinks: names.map((name) => ({ name: `u-${name}`, type: 'null', mtu, gro })),
        rngs: names.map((name) => ({ name: `r-${name}`, socket: `/r/${mtu}/${name}` })),
      });
    const macs: Record<string, string> = { 'a-b': '02:00:00:00:00:01', c: '02:00:00:00:00:02' };
    const calls: string[] = [];
    const targetOf = (kind: string) => ({
      remove: async (name: string) => void calls.push(`remove ${kind} ${name}`),
      add: async ({ name }: { name: string }) => void calls.push(`add ${kind} ${name}`),
      change: async ({ name }: { name: string }) => void calls.push(`change ${kind} ${name}`),
    });
    const target = {
      ...{
        groups: targetOf('group'),
        vfs: targetOf('vf'),
        uplinks: targetOf('uplink'),
        rngs: targetOf('rng'),
      },
      setNic: async ({ macAgeSeconds }: NicChanges) => void calls.push(`age ${macAgeSeconds}`),
    };
    const states = [
      config([], [1500, true], 300),
      config(['a-b'], [1500, true], 300),
      config(['a-b'], [1500, false], 60),
      config(['c'], [1500, false], 60),
      config(['c'], [9000, false], 60),
    ];
    const types: string[][] = [];
    for (const [index, wanted] of states.slice(1).entries()) {
      const actions = diffConfig(states[index] as NicConfig, wanted);
      types.push(actions.map(({ type }) => type));
      await applyActions(actions, target);
    }
    expect(types).toEqual([
      ['add-group', 'add-vf', 'add-uplink', 'add-rng'],
      ['set-vf', 'set-uplink', 'set-nic'],
      [
        ...['add-group', 'remove-vf', 'add-vf', 'remove-uplink', 'add-uplink'],
        ...['remove-rng', 'add-rng', 'remove-group'],
      ],
      ['set-group', 'replace-vf', 'replace-uplink', 'replace-rng'],
    ]);
    const [vfs, uplinks, rngs] = ['vf a-b', 'uplink u-a-b', 'rng r-a-b'];
    const others = ['vf c', 'uplink u-c', 'rng r-c'];
    expect(calls).toEqual([
      'add group g-a-b',
      ...[vfs, uplinks, rngs].map((name) => `add ${name}`),
      ...[vfs, uplinks].map((name) => `change ${name}`),
      'age 60',
      'add group g-c',
      ...[vfs, uplinks, rngs].map((name) => `remove ${name}`),
      ...others.map((name) => `add ${name}`),
      'remove group g-a-b',
      'change group g-c',
      ...others.map((name) => `remove ${name}`),
      ...others.map((name) => `add ${name}`),
    ]);
  });
});

describe('a VF that cannot be added', () => {
  const steps: string[] = [];
  const carry = (running: NicConfig, wanted: NicConfig, refused: string): Promise<void> => {
    steps.length = 0;
    const vfs = {
      ...noFunctions,
      async remove(name: string) {
        steps.push(`- ${name}`);
      },
      async add({ name, socket }: VfConfig) {
        if (socket === refused) throw new Error(`${socket} is in use`);
        steps.push(`+ ${name} ${socket}`);
      },
    };
    return applyActions(diffConfig(running, wanted), { ...noTarget, vfs });
  };

  it('is restored to its old form', async () => {
    const wanted = nic([{ ...vm1, socket: '/s/3' }, vm2]);
    await expect(carry(nic([vm1, vm2]), wanted, '/s/3')).rejects.toThrow('/s/3 is in use');
    expect(steps).toEqual(['- vm1', '+ vm1 /s/1']);
  });

  it('is restored even if the attempt throws before it begins', async () => {
    steps.length = 0;
    const vfs = {
      ...noFunctions,
      add({ name, mtu }: VfConfig): Promise<void> {
        if (mtu === 9000) throw new Error('no room');
        steps.push(`+ ${name} ${mtu}`);
        return nothing();
      },
    };
    const actions = diffConfig(nic([vm1]), nic([{ ...vm1, mtu: 9000 }]));
    await expect(applyActions(actions, { ...noTarget, vfs })).rejects.toThrow('no room');
    expect(steps).toEqual(['+ vm1 1500']);
  });

  it('is reported, and so is every other one', async () => {
    const wanted = nic([
      { ...vm1, mtu: 9000 },
      { ...vm2, mtu: 9000 },
    ]);
    const taken = async ({ socket }: VfConfig): Promise<void> => {
      throw operatorError('HEDDLE_SOCKET_IN_USE', { socket });
    };
    const vfs = { ...noFunctions, add: taken };
    const applying = applyActions(diffConfig(nic([]), wanted), { ...noTarget, vfs });
    const other = { message: expect.stringContaining('/s/2') };
    await expect(applying).rejects.toMatchObject({
      message: expect.stringContaining('/s/1'),
      also: [other],
    });
  });

  it('does not keep others from being added, nor does a failed change in place', async () => {
    const added: string[] = [];
    const vfs = {
      ...noFunctions,
      async add({ name }: VfConfig) {
        added.push(name);
      },
      change: () => Promise.reject(new Error('no answer')),
    };
    const wanted = nic([
      { ...vm1, mtu: 9000 },
      { ...vm2, gro: false },
    ]);
    const applying = applyActions(diffConfig(nic([vm1, vm2]), wanted), { ...noTarget, vfs });
    await expect(applying).rejects.toThrow('no answer');
    expect(added).toEqual(['vm1']);
  });

  it('does not keep others from being added', async () => {
    const wanted = nic([{ name: 'vm0', socket: '/s/0' }, { ...vm1, mtu: 9000 }, vm2]);
    await expect(carry(nic([vm1]), wanted, '/s/0')).rejects.toThrow('/s/0 is in use');
    expect(steps).toEqual(['- vm1', '+ vm1 /s/1', '+ vm2 /s/2']);
  });
});

const byName = (config: NicConfig): VfConfig[] =>
  [...config.vfs].sort((a, b) => a.name.localeCompare(b.name));

describe('for any two configurations', () => {
  it('the actions turn the running one into the wanted one', async () => {
    await fc.assert(
      fc.asyncProperty(configs, configs, async (running, wanted) => {
        const result = await carryOut(running, diffConfig(running, wanted));
        expect(byName(result)).toEqual(byName(wanted));
        expect(result.macAgeSeconds).toBe(wanted.macAgeSeconds);
        expect(diffConfig(result, wanted)).toEqual([]);
      }),
    );
  });

  it('a VF that does not differ is not touched', async () => {
    await fc.assert(
      fc.asyncProperty(configs, configs, async (running, wanted) => {
        const { touched } = await carryOut(running, diffConfig(running, wanted));
        for (const vf of running.vfs) {
          const same = wanted.vfs.find(({ name }) => name === vf.name);
          if (JSON.stringify(same) === JSON.stringify(vf)) expect(touched).not.toContain(vf.name);
        }
      }),
    );
  });
});

describe('a change of what is promised', () => {
  const gold = { name: 'gold', txMax: '20Gbit' };
  const web = { name: 'web', parent: 'gold' };

  it('is made in place, and printed with units', () => {
    const words = { group: 'gold', txShare: '1500M', txBurst: '2MB', rxMaxPackets: '2M' };
    const wanted = nic([{ ...vm1, ...words }], { groups: [gold], capacity: '40G' });
    expect(actions(nic([vm1], { groups: [{ ...gold, txWeight: 4 }] }), wanted)).toEqual([
      '~ group gold  txWeight=1',
      '~ vm1  group=gold txShare=1500Mbit txBurst=2MB rxMaxPackets=2M',
      '~ the NIC  capacity=40Gbit',
    ]);
    expect(actions(wanted, nic([vm1], { groups: [gold] }))).toEqual([
      '~ vm1  group=none txShare=none txBurst=none rxMaxPackets=none',
      '~ the NIC  capacity=none',
    ]);
  });

  it('of an uplink leaves its wires open', () => {
    const lan = { name: 'lan', type: 'null', capacity: '10G' };
    const from = nic([], { uplinks: [lan] });
    expect(
      actions(from, nic([], { uplinks: [{ ...lan, capacity: 'auto', overhead: 38 }] })),
    ).toEqual(['~ uplink lan  capacity=auto overhead=38']);
  });

  it('adds groups before what is in them, and removes the deepest first', () => {
    const wanted = nic([{ ...vm1, group: 'web' }], { groups: [gold, web] });
    expect(actions(nic([vm1]), wanted)).toEqual([
      '+ group gold',
      '+ group web',
      '~ vm1  group=web',
    ]);
    expect(actions(wanted, nic([vm1]))).toEqual([
      '~ vm1  group=none',
      '- group web',
      '- group gold',
    ]);
  });
});

describe('a change of VLANs', () => {
  const nic = (vlan: object, mtu = 1500): NicConfig =>
    completeNic({
      vfs: [{ name: 'a', socket: '/a', vlan }],
      uplinks: [{ name: 'u', type: 'null', mtu, vlan }],
    });
  const lines = (from: NicConfig, to: NicConfig): string[] => diffConfig(from, to).map(actionText);

  it('is made in place, for VFs and for uplinks', () => {
    const wanted = nic({ trunk: [10, 20], native: 10 });
    expect(lines(nic({ access: 10 }), wanted)).toEqual([
      '~ a  vlan=trunk 10,20 native 10',
      '~ uplink u  vlan=trunk 10,20 native 10',
    ]);
    expect(lines(wanted, nic({}))).toEqual(['~ a  vlan=none', '~ uplink u  vlan=none']);
  });

  it('is no change if only the order of the keys differs', () => {
    expect(lines(nic({ access: 10, priority: 1 }), nic({ priority: 1, access: 10 }))).toEqual([]);
  });

  it('is included in another change of an uplink, which reopens it', () => {
    expect(lines(nic({}), nic({ access: 10 }, 9000))).toEqual([
      '~ a  vlan=access 10',
      '! uplink u  null  (reopens)',
    ]);
  });
});
