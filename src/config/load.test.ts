import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OperatorError } from '../errors.ts';
import { loadConfig, parseConfig } from './load.ts';
import { deriveMac } from './mac.ts';

function refusal(text: string): OperatorError {
  try {
    parseConfig(text, 'nic.yaml');
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

const twoVfs = `name: nic0
vfs:
  - name: vm1
    socket: /tmp/h/vm1.sock
  - name: vm2
    socket: /tmp/h/vm2.sock
`;

describe('a configuration file', () => {
  it('gets defaults, and a stable MAC per VF', () => {
    const config = parseConfig(twoVfs, 'nic.yaml');
    expect(config).toEqual({
      name: 'nic0',
      processors: 1,
      processorCpus: [],
      macAgeSeconds: 300,
      capacity: 0,
      groups: [],
      vfs: ['vm1', 'vm2'].map((name) => ({
        name,
        socket: `/tmp/h/${name}.sock`,
        mode: 'server',
        mac: deriveMac('nic0', name),
        queuePairs: 1,
        mtu: 1500,
        allowUnsealedMemory: false,
        disabledFeatures: [],
        enabledFeatures: [],
        vlan: {},
        linkState: 'enable',
        gro: true,
        group: 'none',
        ...{ txShare: 0, txMax: 0, txWeight: 1, txPriority: 0, txBurst: 0, txMaxPackets: 0 },
        ...{ rxMax: 0, rxMaxPackets: 0 },
      })),
      uplinks: [],
      rngs: [],
    });
    expect(deriveMac('nic0', 'vm1')).toBe('02:79:ca:b0:dd:57');
  });

  it('keeps the values given', () => {
    const vf = `{name: a, socket: /s, mode: client, mac: 02:00:00:00:00:0A, queuePairs: 4,
      mtu: 9000, allowUnsealedMemory: true}`;
    const config = parseConfig(`{processors: 2, control: /c, vfs: [${vf}]}`, 'nic.yaml');
    expect(config.control).toBe('/c');
    expect(config.processors).toBe(2);
    expect(config.vfs[0]).toMatchObject({ mode: 'client', mac: '02:00:00:00:00:0a', mtu: 9000 });
  });
});

const manyVfs = (count: number): string =>
  Array.from({ length: count }, (_, i) => `  - {name: v${i}, socket: /s${i}}\n`).join('');

/** What is wrong, the YAML, and the complete message. */
const refused: [string, string, string][] = [
  [
    'an unknown key',
    `${twoVfs}    queue_pairs: 2\n`,
    'Cannot use nic.yaml:7:5 because vfs[1] has no key "queue_pairs"',
  ],
  [
    'an unknown key of the NIC',
    `procesors: 2\n${twoVfs}`,
    'Cannot use nic.yaml:1:1 because the NIC has no key "procesors"',
  ],
  [
    'a value out of range',
    `${twoVfs}    queuePairs: 17\n`,
    'Cannot use nic.yaml:7:17 because vfs[1].queuePairs must be a whole number from 1 to 16: ' +
      'received 17',
  ],
  [
    'a fraction',
    `${twoVfs}    mtu: 1500.5\n`,
    'Cannot use nic.yaml:7:10 because vfs[1].mtu must be a whole number from 68 to 65535: ' +
      'received 1500.5',
  ],
  [
    'a wrong type',
    `${twoVfs}    allowUnsealedMemory: "yes"\n`,
    'Cannot use nic.yaml:7:26 because vfs[1].allowUnsealedMemory must be true or false: ' +
      'received "yes"',
  ],
  [
    'a name that YAML reads as a number',
    'name: 7\n',
    'Cannot use nic.yaml:1:7 because name must be 1 to 32 letters, digits, ".", "_" or "-", ' +
      'starting with a letter or digit: received 7',
  ],
  [
    'a key that is missing',
    'vfs:\n  - name: vm1\n',
    'Cannot use nic.yaml:2:5 because vfs[0].socket is missing: it must be an absolute path of ' +
      'at most 107 bytes',
  ],
  [
    'a mode that does not exist',
    `${twoVfs}    mode: listen\n`,
    'Cannot use nic.yaml:7:11 because vfs[1].mode must be "server" (the NIC listens) or "client" ' +
      '(the VMM listens): received "listen"',
  ],
  [
    'a relative socket path',
    'vfs:\n  - {name: a, socket: vm1.sock}\n',
    'Cannot use nic.yaml:2:23 because vfs[0].socket must be an absolute path of at most 107 bytes: ' +
      'received "vm1.sock"',
  ],
  [
    'a socket path with a null byte',
    'vfs:\n  - {name: a, socket: "/a\\0b"}\n',
    'Cannot use nic.yaml:2:23 because vfs[0].socket must be an absolute path of at most 107 bytes: ' +
      'received "/a\\u0000b"',
  ],
  [
    'a socket path that is too long',
    `vfs:\n  - {name: a, socket: /${'x'.repeat(107)}}\n`,
    'Cannot use nic.yaml:2:23 because a socket path can have at most 107 bytes: ' +
      `received vfs[0].socket with 108 bytes, /${'x'.repeat(107)}`,
  ],
  [
    'a malformed MAC',
    `${twoVfs}    mac: 02-00-00-00-00-0a\n`,
    'Cannot use nic.yaml:7:10 because vfs[1].mac must be a unicast MAC address, but this is not ' +
      'six hexadecimal bytes separated by colons: received "02-00-00-00-00-0a"',
  ],
  [
    'a multicast MAC',
    `${twoVfs}    mac: 01:00:5e:00:00:01\n`,
    'Cannot use nic.yaml:7:10 because vfs[1].mac must be a unicast MAC address, but this is a ' +
      'group address (the lowest bit of its first byte is set): received "01:00:5e:00:00:01"',
  ],
  [
    'a zero MAC',
    `${twoVfs}    mac: 00:00:00:00:00:00\n`,
    'Cannot use nic.yaml:7:10 because vfs[1].mac must be a unicast MAC address, but this is ' +
      'zero: received "00:00:00:00:00:00"',
  ],
  [
    'too many processors',
    `processors: 17\n${twoVfs}`,
    'Cannot use nic.yaml:1:13 because processors must be a whole number from 1 to 16: received 17',
  ],
  [
    'two VFs with one name',
    `${twoVfs}  - name: vm1\n    socket: /tmp/h/vm3.sock\n`,
    'Cannot use nic.yaml:7:11 because vfs[2].name repeats the name of vfs[0] (vm1): received vm1',
  ],
  [
    'two VFs with one MAC',
    'vfs:\n  - {name: a, socket: /a, mac: 02:00:00:00:00:0a}\n' +
      '  - {name: b, socket: /b, mac: 02:00:00:00:00:0A}\n',
    'Cannot use nic.yaml:3:32 because vfs[1].mac repeats the MAC of vfs[0] (a): ' +
      'received 02:00:00:00:00:0a',
  ],
  [
    'two VFs with one socket',
    'vfs:\n  - {name: a, socket: /a}\n  - {name: b, socket: /a}\n',
    'Cannot use nic.yaml:3:23 because vfs[1].socket repeats the socket of vfs[0] (a): received /a',
  ],
  [
    'a VF on the control socket',
    'control: /a\nvfs:\n  - {name: a, socket: /a}\n',
    'Cannot use nic.yaml:3:23 because vfs[0].socket repeats the socket of the control socket: ' +
      'received /a',
  ],
  [
    'too many VFs',
    `vfs:\n${manyVfs(257)}`,
    'Cannot add a VF because a NIC can have at most 256: received 257 in nic.yaml:2:3',
  ],
  [
    'broken YAML',
    'name: nic0\nvfs: [\n',
    'Cannot read nic.yaml:3:1 because it is not valid YAML (flow sequence in block collection ' +
      'must be sufficiently indented and end with a ]): received ""',
  ],
  [
    'a key twice',
    'name: nic0\nname: nic1\n',
    'Cannot read nic.yaml:2:1 because it is not valid YAML (map keys must be unique): ' +
      'received "name: nic1"',
  ],
  [
    'an empty file',
    '',
    'Cannot use nic.yaml:1:1 because the NIC must be a mapping with the keys of a NIC: ' +
      'received nothing',
  ],
  [
    'a list instead of a mapping',
    '- vm1\n',
    'Cannot use nic.yaml:1:1 because the NIC must be a mapping with the keys of a NIC: ' +
      'received a list of 1',
  ],
];

describe('a configuration is refused with its line, key, value and what is allowed', () => {
  it.each(refused)('%s', (_, text, message) => {
    expect(refusal(text).message).toBe(message);
  });

  it('suggests the key that was probably meant', () => {
    expect(refusal(`${twoVfs}    queue_pairs: 2\n`).hint).toBe(
      'Did you mean "queuePairs"? Allowed are name, socket, mode, mac, queuePairs, mtu, ' +
        'allowUnsealedMemory, disabledFeatures, enabledFeatures, vlan, linkState, gro, group, ' +
        'txShare, txMax, txWeight, txPriority, txBurst, txMaxPackets, rxMax, rxMaxPackets.',
    );
  });

  it('reports every problem, in the order of the file', () => {
    const { code, also } = refusal(`colour: red\n${twoVfs}    mtu: 1\n    mac: none\n`);
    expect([code, ...also.map((other) => other.code)]).toEqual([
      'HEDDLE_CONFIG_UNKNOWN_KEY',
      'HEDDLE_CONFIG_VALUE',
      'HEDDLE_CONFIG_MAC',
    ]);
  });

  it('limits how far aliases can expand', () => {
    const level = (from: string, to: string): string =>
      `${to}: &${to} [${`*${from},`.repeat(9)}]\n`;
    const bomb = `a: &a [1,2,3]\n${level('a', 'b')}${level('b', 'c')}${level('c', 'd')}`;
    expect(refusal(bomb + level('d', 'e')).code).toBe('HEDDLE_CONFIG_SYNTAX');
  });

  it('treats __proto__ as an ordinary unknown key', () => {
    expect(refusal('__proto__: {processors: 4}\n').code).toBe('HEDDLE_CONFIG_UNKNOWN_KEY');
  });
});

describe('a file that cannot be read', () => {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-config-'));

  it('is missing', () => {
    const file = join(directory, 'none.yaml');
    expect(() => loadConfig(file)).toThrow(`Cannot read the configuration: ${file} does not exist`);
  });

  it('is a directory', () => {
    expect(() => loadConfig(directory)).toThrow('the system returned EISDIR');
  });

  it('is read from disk if it exists', () => {
    const file = join(directory, 'nic.yaml');
    writeFileSync(file, twoVfs);
    expect(loadConfig(file).vfs).toHaveLength(2);
  });
});
