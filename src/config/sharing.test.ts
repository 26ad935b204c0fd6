import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../errors.ts';
import { parseConfig } from './load.ts';
import { groupShares } from './sharing.ts';
import {
  checkGroup,
  checkNewGroup,
  checkNewVf,
  checkRoomFor,
  completeChanges,
  completeGroup,
  completeGroupChanges,
  completeNic,
  completeUplink,
  completeVf,
} from './validate.ts';

const vf = (name: string, words: object = {}) => ({ name, socket: `/s/${name}`, ...words });

function refusal(work: () => unknown): OperatorError {
  try {
    work();
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('the words', () => {
  it('become plain numbers', () => {
    const words = { txShare: '1Gbit', txMax: '5G', txWeight: 2, txPriority: 1, txBurst: '2MB' };
    const packets = { txMaxPackets: '1M', rxMax: 5e9, rxMaxPackets: '2M' };
    const config = completeNic({
      capacity: '40Gbit',
      groups: [{ name: 'gold', txShare: '5Gbit', txMax: '20Gbit', txWeight: 4 }],
      vfs: [vf('vm1', { group: 'gold', ...words, ...packets })],
      uplinks: [{ name: 'lan', type: 'null', capacity: '10Gbit' }],
    });
    expect(config.capacity).toBe(40e9);
    expect(config.groups).toEqual([
      {
        ...{ name: 'gold', parent: 'none', txShare: 5e9, txMax: 20e9, txWeight: 4 },
        ...{ txPriority: 0, txBurst: 0 },
      },
    ]);
    expect(config.vfs[0]).toMatchObject({
      ...{ group: 'gold', txShare: 1e9, txMax: 5e9, txWeight: 2, txPriority: 1 },
      ...{ txBurst: 2 ** 21, txMaxPackets: 1e6, rxMax: 5e9, rxMaxPackets: 2e6 },
    });
    expect(config.uplinks[0]).toMatchObject({ capacity: 10e9, overhead: 24 });
    // A complete configuration is a valid one, with the same meaning.
    expect(completeNic(config)).toEqual(config);
  });

  it('of an uplink follow its interface unless they say otherwise', () => {
    const uplink = (words: object) => completeUplink({ name: 'lan', type: 'null', ...words });
    expect(uplink({})).toMatchObject({ capacity: 'auto', overhead: 24 });
    expect(uplink({ capacity: 'none' })).toMatchObject({ capacity: 0 });
    expect(() => uplink({ capacity: 'fast' })).toThrow('or "auto" (the speed');
    expect(() => uplink({ overhead: 257 })).toThrow('from 0 to 256: received 257');
  });

  it('of a change are only those that were said', () => {
    expect(completeChanges({ txMax: '5Gbit', group: 'none' })).toEqual({
      txMax: 5e9,
      group: 'none',
    });
    expect(completeGroupChanges({ txShare: 'none' })).toEqual({ txShare: 0 });
    expect(() => completeGroupChanges({ name: 'x' })).toThrow('has no key "name"');
  });
});

const file = (lines: string[]) => () => parseConfig(lines.join('\n'), 'nic.yaml');
const vm1 = '  - { name: vm1, socket: /s/1, ';

describe('a file is refused with line and key', () => {
  it.each([
    [
      'a rate that is too low',
      ['vfs:', `${vm1}txMax: 7kbit }`],
      'Cannot use nic.yaml:2:39 because vfs[0].txMax must be a rate such as 5Gbit or 800kbit, ' +
        'from 8kbit to 10Tbit, or 0 (none): received "7kbit"',
    ],
    [
      'a rate that would round to none',
      ['vfs:', `${vm1}rxMax: 0.3 }`],
      'Cannot use nic.yaml:2:39 because vfs[0].rxMax must be a rate such as 5Gbit or 800kbit, ' +
        'from 8kbit to 10Tbit, or 0 (none): received 0.3',
    ],
    [
      'a weight of nothing',
      ['groups:', '  - { name: gold, txWeight: 0 }'],
      'Cannot use nic.yaml:2:29 because groups[0].txWeight must be a whole number from 1 to ' +
        '1000: received 0',
    ],
    [
      'more guaranteed than allowed',
      ['vfs:', `${vm1}txShare: 2G, txMax: 1G }`],
      'Cannot use nic.yaml:2:41 because vfs[0].txShare must be at most its txMax (1Gbit): ' +
        'received 2Gbit',
    ],
    [
      'a group that is missing',
      ['vfs:', `${vm1}group: gold }`],
      'Cannot use nic.yaml:2:39 because vfs[0].group names no group: received gold',
    ],
    [
      'a parent that is missing',
      ['groups:', '  - { name: web, parent: gold }'],
      'Cannot use nic.yaml:2:26 because groups[0].parent names no group: received gold',
    ],
    [
      'a group below itself',
      ['groups:', '  - { name: a, parent: b }', '  - { name: b, parent: a }'],
      'Cannot use nic.yaml:2:24 because groups[0].parent puts a group below itself: ' +
        'received a in b in a',
    ],
    [
      'too many levels',
      [
        'groups:',
        ...['ba', 'cb', 'dc', 'ed', 'fe'].map(
          ([name, parent]) => `  - { name: ${name}, parent: ${parent} }`,
        ),
        '  - { name: a }',
      ],
      'Cannot use nic.yaml:5:24 because groups[3].parent makes more than 4 levels of groups: ' +
        'received e in d in c in b in a',
    ],
    [
      'the name of a VF',
      ['groups: [{ name: vm1 }]', 'vfs:', `${vm1}}`],
      'Cannot use nic.yaml:1:18 because groups[0].name repeats the name of vfs[0] (vm1): ' +
        'received vm1',
    ],
    [
      'a group with the name of no group',
      ['groups: [{ name: none }]'],
      'Cannot use nic.yaml:1:18 because groups[0].name must be a name other than "none": ' +
        'received "none"',
    ],
    [
      'more than 256 groups',
      ['groups:', ...Array.from({ length: 257 }, (_, i) => `  - { name: g${i} }`)],
      'Cannot use nic.yaml:2:3 because groups must be a list of at most 256 groups: ' +
        'received a list of 257',
    ],
  ])('%s', (_, lines, message) => {
    expect(refusal(file(lines)).message).toBe(message);
  });

  it('suggests keys of a group', () => {
    expect(refusal(file(['groups: [{ name: gold, txmax: 1G }]'])).hint).toBe(
      'Did you mean "txMax"? Allowed are name, parent, txShare, txMax, txWeight, txPriority, ' +
        'txBurst.',
    );
  });
});

describe('guarantees', () => {
  it.each([
    [
      'the limit of a group',
      { groups: [{ name: 'gold', txMax: '5G' }] },
      'the guarantees (txShare) in group gold would be 6Gbit, more than its txMax (5Gbit): ' +
        'received c with 3Gbit',
      'What is left is 2Gbit; others have: a 2Gbit, b 1Gbit. Lower a txShare, or raise the txMax ' +
        'of gold.',
    ],
    [
      'the guarantee of a group',
      { groups: [{ name: 'gold', txShare: '4G', txMax: '9G' }] },
      'in group gold would be 6Gbit, more than its txShare (4Gbit): received c with 3Gbit',
      'What is left is 1Gbit; others have: a 2Gbit, b 1Gbit. Lower a txShare, or raise the ' +
        'txShare of gold.',
    ],
    [
      'the capacity of the NIC',
      { capacity: '5500M', groups: [{ name: 'gold' }] },
      'in the NIC would be 6Gbit, more than its capacity (5500Mbit): received gold with 6Gbit',
      'What is left is 5500Mbit; others have: nobody else has any. Lower a txShare, or raise the ' +
        'capacity of the NIC.',
    ],
  ])('may not exceed %s', (_, rest, message, hint) => {
    const share = (name: string, txShare: string) => vf(name, { group: 'gold', txShare });
    const vfs = [share('a', '2G'), share('b', '1G'), share('c', '3G')];
    const error = refusal(() => completeNic({ ...rest, vfs }));
    expect(error).toMatchObject({ code: 'HEDDLE_SHARES_EXCEEDED', status: 409, hint });
    expect(error.message).toContain(message);
  });

  it('may not exceed what the processors can keep', () => {
    const vfs = [vf('a', { txShare: '40G' }), vf('b', { txShare: '40G' })];
    expect(refusal(() => completeNic({ vfs })).message).toContain(
      'in the NIC would be 80Gbit, more than its processor can keep (48Gbit): received b with 40G',
    );
    expect(() => completeNic({ vfs, processors: 2 })).not.toThrow();
  });

  it('of a group count in the group above, even if nobody in it has any', () => {
    const groups = [
      { name: 'gold', txMax: '5G' },
      { name: 'web', parent: 'gold', txShare: '3G' },
      { name: 'db', parent: 'gold' },
    ];
    const nic = (txShare: string) =>
      completeNic({ groups, vfs: [vf('a', { group: 'db', txShare })] });
    expect(Object.fromEntries(groupShares(nic('2G')))).toEqual({
      ...{ none: 5e9, gold: 5e9, web: 3e9, db: 2e9 },
    });
    expect(() => nic('2001M')).toThrow('received db with 2001Mbit');
  });

  it('are listed briefly where many have some', () => {
    const vfs = Array.from({ length: 20 }, (_, i) => vf(`v${i}`, { txShare: '1G' }));
    expect(refusal(() => completeNic({ capacity: '19G', vfs })).hint).toContain(
      'others have: v0 1Gbit, v1 1Gbit, v2 1Gbit, v3 1Gbit, v4 1Gbit, v5 1Gbit, v6 1Gbit, ' +
        'v7 1Gbit, 11 more.',
    );
  });
});

describe('in a running NIC', () => {
  const nic = completeNic({
    capacity: '10G',
    groups: [
      { name: 'gold', txMax: '5G' },
      { name: 'web', parent: 'gold' },
    ],
    vfs: [vf('a', { group: 'gold', txShare: '4G' }), vf('b', { txShare: '5G' })],
  });
  const a = nic.vfs[0]!;

  it('a VF is blamed that does not fit, and only the place is named that it was said in', () => {
    const message =
      'Cannot use the configuration because the guarantees (txShare) in group gold would be ' +
      '6Gbit, more than its txMax (5Gbit): received c with 2Gbit';
    const c = completeVf(vf('c', { group: 'web', txShare: '2G' }), 'nic0');
    expect(() => checkNewVf(c, nic)).toThrow('in group gold would be 6Gbit');
    expect(() => checkNewVf({ ...c, group: 'gold' }, nic)).toThrow(message);
    expect(() => checkNewVf({ ...c, group: 'gold', txShare: 1e9 }, nic)).not.toThrow();
    expect(() => checkNewVf({ ...c, group: 'silver' }, nic)).toThrow(
      'because group names no group: received silver',
    );
    expect(() => checkNewVf({ ...c, name: 'web' }, nic)).toThrow('already has a VF, group,');
  });

  it('a VF may keep what it has, and get less', () => {
    expect(() => checkRoomFor(a, nic)).not.toThrow();
    expect(() => checkRoomFor({ ...a, txShare: 1e9 }, nic)).not.toThrow();
    expect(() => checkRoomFor({ ...a, txShare: 6e9 }, nic)).toThrow('received a with 6Gbit');
    const c = completeVf(vf('c', { group: 'web', txShare: '1G' }), 'nic0');
    expect(() => checkNewVf(c, { ...nic, capacity: 9e9 })).toThrow('received gold with 5Gbit');
  });

  it('a group is checked like a VF', () => {
    const group = (words: object) => completeGroup({ name: 'new', ...words });
    expect(() => checkNewGroup(group({ parent: 'web' }), nic)).not.toThrow();
    expect(() => checkNewGroup(group({ name: 'b' }), nic)).toThrow('already has a VF, group,');
    expect(() => checkNewGroup(group({ parent: 'tin' }), nic)).toThrow('parent names no group');
    expect(() => checkNewGroup(group({ txShare: '2G' }), nic)).toThrow('received new with 2Gbit');
    const full = {
      ...nic,
      groups: Array.from({ length: 256 }, (_, i) => group({ name: `g${i}` })),
    };
    expect(() => checkNewGroup(group({}), { ...full, vfs: [] })).toThrow('at most 256');
    const gold = nic.groups[0]!;
    expect(() => checkGroup({ ...gold, txMax: 3e9 }, nic)).toThrow('than its txMax (3Gbit)');
    expect(() => checkGroup({ ...gold, parent: 'web' }, nic)).toThrow('below itself');
  });
});

it('the guarantee of the NIC is at least that of each group, whatever the tree', () => {
  const trees = fc.array(
    fc.record({ above: fc.nat(7), txShare: fc.nat(9), vfs: fc.array(fc.nat(9)) }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(trees, (tree) => {
      const groups = tree.map(({ above, txShare }, i) => ({
        ...completeGroup({ name: `g${i}` }),
        parent: above < i ? `g${above}` : 'none',
        txShare,
      }));
      const vfs = tree.flatMap(({ vfs: shares }, i) =>
        shares.map((txShare, j) => ({
          ...completeVf(vf(`v${i}-${j}`), 'nic0'),
          group: `g${i}`,
          txShare,
        })),
      );
      const shares = groupShares({ groups, vfs });
      const all = shares.get('none') ?? 0;
      const sum = vfs.reduce((total, { txShare }) => total + txShare, 0);
      expect(all).toBeGreaterThanOrEqual(sum);
      for (const { name, txShare } of groups) {
        expect(shares.get(name)).toBeGreaterThanOrEqual(txShare);
        expect(all).toBeGreaterThanOrEqual(shares.get(name) ?? 0);
      }
    }),
  );
});
