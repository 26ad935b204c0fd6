import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveMac, MAC_PATTERN } from './mac.ts';
import { nearest } from './nearest.ts';
import { NIC_KEYS, VF_KEYS } from './schema.ts';
import {
  checkNewUplink,
  checkNewVf,
  checkRoomFor,
  completeChanges,
  completeNic,
  completeUplink,
  completeVf,
} from './validate.ts';
import { jsonSchema } from './write-schema.ts';

describe('a VF by itself', () => {
  it('is completed', () => {
    expect(completeVf({ name: 'a', socket: '/a' }, 'nic0')).toMatchObject({
      mode: 'server',
      mac: deriveMac('nic0', 'a'),
    });
  });

  it('is refused with the invalid key', () => {
    expect(() => completeVf({ name: 'a', socket: '/a', mtu: 1 }, 'nic0')).toThrow(
      'Cannot use the configuration because mtu must be a whole number from 68 to 65535: received 1',
    );
    expect(() => completeVf(7, 'nic0')).toThrow(
      'because the VF must be a mapping with the keys of a VF: received 7',
    );
  });

  it('must not conflict with the others', () => {
    const nic = completeNic({ vfs: [{ name: 'a', socket: '/a' }] });
    const other = (fields: object) => completeVf({ name: 'b', socket: '/b', ...fields }, 'nic0');
    expect(() => checkRoomFor(other({}), nic)).not.toThrow();
    expect(() => checkRoomFor(other({ socket: '/a' }), nic)).toThrow(
      'because socket repeats the socket of vfs[0] (a): received /a',
    );
    expect(() => checkRoomFor(other({ mac: nic.vfs[0]!.mac }), nic)).toThrow('mac repeats the MAC');
    // The changed form of a VF is compared with the others, not with its old self.
    expect(() => checkRoomFor(nic.vfs[0]!, nic)).not.toThrow();
  });

  it('is refused when the NIC is full', () => {
    const vfs = Array.from({ length: 256 }, (_, i) => ({ name: `v${i}`, socket: `/s${i}` }));
    const nic = completeNic({ vfs });
    const vf = completeVf({ name: 'b', socket: '/b' }, 'nic0');
    expect(() => checkRoomFor(vf, nic)).toThrow('a NIC can have at most 256: received b');
  });
});

describe('names and sockets', () => {
  const vf = { name: 'a', socket: '/a' };
  const wan = { name: 'wan', type: 'stream', socket: '/w' };
  const rng = { name: 'r', socket: '/r' };
  const nic = { vfs: [vf], uplinks: [wan], rngs: [rng] };

  it('are shared by VFs, uplinks and entropy devices', () => {
    expect(() => completeNic(nic)).not.toThrow();
    const refused: [object, string][] = [
      [{ rngs: [{ ...rng, name: 'a' }] }, 'rngs[0].name repeats the name of vfs[0] (a)'],
      [{ rngs: [{ ...rng, name: 'wan' }] }, 'rngs[0].name repeats the name of uplinks[0] (wan)'],
      [{ rngs: [rng, { ...rng, socket: '/s' }] }, 'rngs[1].name repeats the name of rngs[0] (r)'],
      [{ rngs: [{ ...rng, socket: '/a' }] }, 'rngs[0].socket repeats the socket of vfs[0] (a)'],
      [{ rngs: [{ ...rng, socket: '/w' }] }, 'rngs[0].socket repeats the socket of uplinks[0]'],
      [{ rngs: [rng, { ...rng, name: 's' }] }, 'rngs[1].socket repeats the socket of rngs[0] (r)'],
      [{ uplinks: [{ ...wan, socket: '/a' }] }, 'uplinks[0].socket repeats the socket of vfs[0]'],
      [{ control: '/r' }, 'rngs[0].socket repeats the socket of the control socket'],
    ];
    for (const [changes, words] of refused) {
      expect(() => completeNic({ ...nic, ...changes }), words).toThrow(words);
    }
  });

  it('may be equal for uplinks that connect to one place', () => {
    const uplinks = [
      { name: 'x', type: 'vde', socket: '/v' },
      { name: 'y', type: 'vde', socket: '/v' },
    ];
    expect(() => completeNic({ uplinks })).not.toThrow();
  });

  it('of a new VF or uplink must differ from those of entropy devices', () => {
    const complete = completeNic(nic);
    const add = (fields: object) => () =>
      checkNewVf(completeVf({ name: 'b', socket: '/b', ...fields }, 'nic0'), complete);
    expect(add({})).not.toThrow();
    expect(add({ name: 'r' })).toThrow('already has a VF, group, uplink or entropy device named r');
    expect(add({ socket: '/r' })).toThrow('because socket repeats the socket of rngs[0] (r)');
    expect(add({ socket: '/w' })).toThrow('because socket repeats the socket of uplinks[0] (wan)');
    const addUplink = (fields: object) => () =>
      checkNewUplink(completeUplink({ ...wan, name: 'lan', socket: '/l', ...fields }), complete);
    expect(addUplink({})).not.toThrow();
    expect(addUplink({ name: 'r' })).toThrow();
    expect(addUplink({ socket: '/r' })).toThrow('socket repeats the socket of rngs[0] (r)');
  });

  it('of an entropy device are checked like those of a VF', () => {
    expect(() => completeNic({ rngs: [{ name: 'r', socket: '/r', mtu: 1500 }] })).toThrow('"mtu"');
    expect(() => completeNic({ rngs: [{ name: 'r', socket: 'r' }] })).toThrow('rngs[0].socket');
  });
});

describe('changes of a VF', () => {
  it('contain only the given keys', () => {
    expect(completeChanges({ mtu: 9000, mac: undefined })).toEqual({ mtu: 9000 });
  });

  it('do not rename it', () => {
    expect(() => completeChanges({ name: 'b' })).toThrow(
      'because a change of a VF has no key "name"',
    );
  });
});

describe('a derived MAC', () => {
  it('is unicast, locally administered and stable for any names', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (nic, vf) => {
        const mac = deriveMac(nic, vf);
        expect(mac).toMatch(/^02:/);
        expect(mac).toMatch(MAC_PATTERN);
        expect(deriveMac(nic, vf)).toBe(mac);
      }),
    );
  });

  it('differs for names whose concatenation is equal', () => {
    expect(deriveMac('ab', 'c')).not.toBe(deriveMac('a', 'bc'));
  });
});

describe('the MTU of an uplink', () => {
  it('is no larger than what a VDE switch carries', () => {
    const vde = { name: 'v', type: 'vde', socket: '/run/vde' } as const;
    expect(completeUplink({ ...vde, mtu: 1500 })).toMatchObject({ mtu: 1500 });
    expect(completeUplink(vde)).toMatchObject({ mtu: 1500 });
    expect(() => completeUplink({ ...vde, mtu: 1501 })).toThrow(
      'mtu must be a whole number from 68 to 1500 (a VDE switch carries no more): received 1501',
    );
  });

  it('is not limited by VDE for other types', () => {
    expect(completeUplink({ name: 'n', type: 'null', mtu: 9000 })).toMatchObject({ mtu: 9000 });
  });
});

describe('did you mean', () => {
  const keys = ['name', 'socket', 'queuePairs', 'mtu'];
  it.each([
    ['queue_pairs', 'queuePairs'],
    ['queuepair', 'queuePairs'],
    ['sokcet', 'socket'],
    ['nmae', undefined],
    ['colour', undefined],
  ])('%s → %s', (word, expected) => {
    expect(nearest(word, keys)).toBe(expected);
  });
});

describe('the JSON Schema', () => {
  const schema = jsonSchema() as {
    $schema: string;
    additionalProperties: boolean;
    required?: string[];
    properties: { vfs: { items: { required: string[]; properties: Record<string, object> } } };
  };

  it('says what the validator says', () => {
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(schema.additionalProperties).toBe(false);
    expect(schema.required).toBeUndefined();
    const vf = schema.properties.vfs.items;
    expect(vf.required).toEqual(['name', 'socket']);
    expect(vf.properties.queuePairs).toMatchObject({
      type: 'integer',
      minimum: 1,
      maximum: 16,
      default: 1,
    });
    expect(vf.properties.mode).toMatchObject({ enum: ['server', 'client'], default: 'server' });
  });

  it('describes every key', () => {
    const { properties } = schema.properties.vfs.items;
    for (const key of [...Object.values(properties), ...Object.values(schema.properties)]) {
      expect(key).toHaveProperty('description');
    }
  });
});

describe('docs/configuration.md', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');

  it.each([...new Set([...NIC_KEYS, ...VF_KEYS])])('has a row for %s', (key) => {
    expect(page).toMatch(new RegExp(`^\\| \`${key}\` +\\|`, 'm'));
  });
});
