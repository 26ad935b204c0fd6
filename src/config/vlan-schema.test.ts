import { describe, expect, it } from 'vitest';
import { asOperatorError } from '../errors.ts';
import type { VlanSettings } from '../state/vlan.ts';
import { completeChanges, completeNic, completeUplink, completeVf } from './validate.ts';

const vf = (vlan: unknown) => completeVf({ name: 'a', socket: '/a', vlan }, 'nic0').vlan;

/** The reasons why these VLANs are refused. */
function refusals(vlan: unknown): string[] {
  try {
    vf(vlan);
  } catch (error) {
    const known = asOperatorError(error);
    if (known === undefined) throw error;
    const start = 'Cannot use the configuration because ';
    return [known, ...known.also].map(({ message }) => message.replace(start, ''));
  }
  return [];
}

describe('the VLANs of a port', () => {
  it.each<VlanSettings>([
    {},
    { access: 1 },
    { access: 4094, priority: 7, protocol: '802.1ad' },
    { trunk: [10, 20] },
    { trunk: [10, 20], native: 20, priority: 0, protocol: '802.1Q' },
    { trunk: 'all', native: 5 },
  ])('are accepted as written: %j', (settings) => {
    expect(vf(settings)).toEqual(settings);
    expect(completeChanges({ vlan: settings })).toEqual({ vlan: settings });
    expect(completeUplink({ name: 'u', type: 'null', vlan: settings }).vlan).toEqual(settings);
  });

  it('are none by default', () => {
    expect(completeVf({ name: 'a', socket: '/a' }, 'nic0').vlan).toEqual({});
    expect(completeUplink({ name: 'u', type: 'null' }).vlan).toEqual({});
    expect(completeChanges({})).toEqual({});
  });

  const list = 'vlan.trunk must be a list of VLANs from 1 to 4094, each once, or "all": received ';
  it.each<[unknown, ...string[]]>([
    [{ access: 0 }, 'vlan.access must be a whole number from 1 to 4094: received 0'],
    [{ access: 4095 }, 'vlan.access must be a whole number from 1 to 4094: received 4095'],
    [{ access: '10' }, 'vlan.access must be a whole number from 1 to 4094: received "10"'],
    [{ trunk: [] }, `${list}a list of 0`],
    [{ trunk: [10, 10] }, `${list}10, 10`],
    [{ trunk: [10, 5000] }, 'vlan.trunk[1] must be a whole number from 1 to 4094: received 5000'],
    [{ trunk: 'some' }, `${list}"some"`],
    [
      { access: 10, trunk: [10] },
      'vlan.access must be omitted if "trunk" is set (a port is one or the other): received 10',
    ],
    [
      { trunk: [10, 20], native: 30 },
      'vlan.native must be one of the VLANs of "trunk" (10, 20): received 30',
    ],
    [{ access: 10, native: 10 }, 'vlan.native must be omitted without "trunk": received 10'],
    [{ access: 10, priority: 8 }, 'vlan.priority must be a whole number from 0 to 7: received 8'],
    [
      { priority: 3, protocol: '802.1ad' },
      'vlan.priority must be omitted without "access" or "trunk": received 3',
      'vlan.protocol must be omitted without "access" or "trunk": received "802.1ad"',
    ],
    [
      { access: 10, protocol: '802.1q' },
      'vlan.protocol must be "802.1Q" or "802.1ad" (the outer tag of two): received "802.1q"',
    ],
    [10, 'vlan must be a mapping with access, trunk, native, priority, protocol: received 10'],
    [{ acces: 10 }, 'vlan has no key "acces"'],
  ])('are refused with the reason: %j', (settings, ...reasons) => {
    expect(refusals(settings)).toEqual(reasons);
  });

  it('are located, with a hint', () => {
    const vlan = { acces: 10 };
    const input = { uplinks: [{ name: 'u', type: 'null', vlan }] };
    expect(() => completeNic(input)).toThrow('because uplinks[0].vlan has no key "acces"');
    try {
      completeNic(input);
    } catch (error) {
      expect(asOperatorError(error)?.hint).toBe(
        'Did you mean "access"? Allowed are access, trunk, native, priority, protocol.',
      );
    }
  });
});
