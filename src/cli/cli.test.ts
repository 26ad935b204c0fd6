import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { heddle, mainScript, type Outcome } from '../../test/support/command-process.ts';
import { FakeNic } from '../../test/support/fake-nic.ts';
import { createApi } from '../api/app.ts';
import { type ControlSocket, openControlSocket } from '../api/control-socket.ts';

const directory = mkdtempSync(join(tmpdir(), 'heddle-cli-'));
const control = join(directory, 'control.sock');
const file = join(directory, 'nic.yaml');
const vm1 = '  - {name: vm1, socket: /s/1, mac: 02:00:00:00:00:01}\n';
let nic: FakeNic;
let server: ControlSocket;

beforeEach(async () => {
  nic = new FakeNic({ vfs: [{ name: 'vm1', socket: '/s/1', mac: '02:00:00:00:00:01' }] });
  server = await openControlSocket(createApi(nic), control);
});
afterEach(() => server.close());

const run = (...words: string[]): Promise<Outcome> => heddle(words, { HEDDLE_CONTROL: control });

/** What the command printed; a failure is an error that shows why. */
async function printed(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('heddle function', () => {
  it('lists what is no VF', async () => {
    expect(await printed('function', 'list')).toMatch(/^NAME +KIND +STATE +SOCKET +LAST FAULT\n$/);
    await nic.apply({ rngs: [{ name: 'seed', socket: '/s/rng' }] });
    expect(await printed('function', 'list')).toBe(
      'NAME  KIND  STATE    SOCKET  LAST FAULT\n' +
        'seed  rng   faulted  /s/rng  ring 0 is no ring\n',
    );
    expect(JSON.parse(await printed('function', 'list', '--json'))).toEqual(nic.functions());
  });
});

describe('heddle vf', () => {
  it('lists', async () => {
    expect(await printed('vf', 'list')).toBe(
      'NAME  VMM   LINK  MAC                VLAN  PAIRS  MODE    SOCKET\n' +
        'vm1   none  up    02:00:00:00:00:01  none      1  server  /s/1\n',
    );
    expect(JSON.parse(await printed('vf', 'list', '--json'))).toEqual(nic.vfs());
  });

  it('shows', async () => {
    const text = await printed('vf', 'show', 'vm1');
    expect(text).toMatch(/^mac +02:00:00:00:00:01$/m);
    expect(text).toMatch(/^features +VERSION_1 MRG_RXBUF$/m);
    expect(text).toContain('\n    0  rx         stopped   256\n');
    expect(JSON.parse(await printed('vf', 'show', 'vm1', '--json'))).toEqual(nic.vf('vm1'));
  });

  it('adds, sets and removes', async () => {
    await printed('vf', 'add', 'vm2', '--socket', '/s/2', '--queue-pairs', '2', '--mode', 'client');
    expect(nic.vf('vm2')).toMatchObject({ socket: '/s/2', queuePairs: 2, mode: 'client' });
    await printed('vf', 'set', 'vm2', '--mac', '02:00:00:00:00:0A', '--allow-unsealed-memory');
    expect(nic.vf('vm2')).toMatchObject({ mac: '02:00:00:00:00:0a', allowUnsealedMemory: true });
    await printed('vf', 'set', 'vm2', '--no-allow-unsealed-memory');
    expect(nic.vf('vm2')).toMatchObject({ mode: 'client', allowUnsealedMemory: false });
    await printed('vf', 'set', 'vm2', '--link-state', 'disable');
    expect(await printed('vf', 'show', 'vm2')).toMatch(/^link +down$/m);
    expect(await printed('vf', 'remove', 'vm2')).toBe('');
    expect(nic.vfs()).toHaveLength(1);
  });

  it('sets VLANs, and keeps the rest', async () => {
    const vlan = async (...words: string[]): Promise<unknown> => {
      await printed('vf', 'set', 'vm1', ...words);
      return nic.vf('vm1').vlan;
    };
    expect(await vlan('--access', '10', '--priority', '3')).toEqual({ access: 10, priority: 3 });
    expect(await vlan('--access', '20')).toEqual({ access: 20, priority: 3 });
    expect(await printed('vf', 'show', 'vm1')).toMatch(/^vlan +access 20 priority 3$/m);
    expect(nic.disconnected).toEqual([]);
    const trunk = { trunk: [10, 20], native: 20, priority: 3 };
    expect(await vlan('--trunk', '10,20', '--native', '20')).toEqual(trunk);
    expect(await vlan('--trunk', 'all')).toEqual({ ...trunk, trunk: 'all' });
    expect(await vlan('--trunk', '30')).toEqual({ trunk: [30], priority: 3 });
    const outer = { trunk: [30], priority: 0, protocol: '802.1ad' };
    expect(await vlan('--protocol', '802.1ad', '--priority', '0')).toEqual(outer);
    expect(await vlan('--mtu', '1400')).toEqual(outer);
    expect(await vlan('--no-vlan')).toEqual({});
    const { code, stderr } = await run('vf', 'set', 'vm1', '--access', '1', '--trunk', '2');
    expect(code).toBe(1);
    expect(stderr).toContain('vlan.access must be omitted if "trunk" is set');
  });
});

describe('heddle group', () => {
  it('adds, lists, sets and removes', async () => {
    const words = ['--tx-share', '5Gbit', '--tx-max', '20G', '--tx-weight', '4'];
    expect(await printed('group', 'add', 'gold', ...words)).toBe(
      'name        gold\nparent      none\ntxShare     5Gbit\ntxMax       20Gbit\n' +
        'txWeight    4\ntxPriority  0\ntxBurst     none\nmembers     nothing\n',
    );
    await printed('group', 'add', 'web', '--parent', 'gold');
    await printed('vf', 'set', 'vm1', '--group', 'web');
    expect(await printed('group', 'list')).toBe(
      'NAME  PARENT  SHARE  MAX     WEIGHT  PRIORITY  MEMBERS\n' +
        'gold  none    5Gbit  20Gbit       4         0  web\n' +
        'web   gold    none   none         1         0  vm1\n',
    );
    expect(JSON.parse(await printed('group', 'list', '--json'))).toEqual(nic.groups());
    await printed('group', 'set', 'gold', '--tx-share', 'none', '--tx-priority', '7');
    expect(nic.group('gold')).toMatchObject({ txShare: 0, txMax: 20e9, txPriority: 7 });
    expect(JSON.parse(await printed('group', 'set', 'web', '--parent', 'none', '--json'))).toEqual(
      nic.group('web'),
    );
    const { code, stderr } = await run('group', 'remove', 'web');
    expect([code, stderr]).toEqual([1, expect.stringContaining('still has members: vm1')]);
    await printed('vf', 'set', 'vm1', '--group', 'none');
    expect(await printed('group', 'remove', 'web')).toBe('');
    expect(nic.groups()).toHaveLength(1);
  });
});

describe('what is promised', () => {
  it('is set for a VF, in place', async () => {
    const sending = ['--tx-share', '1Gbit', '--tx-max', '5Gbit', '--tx-weight', '2'];
    const more = ['--tx-priority', '1', '--tx-burst', '2MB', '--tx-max-packets', '1M'];
    const receiving = ['--rx-max', '5Gbit', '--rx-max-packets', '2M'];
    await printed('vf', 'set', 'vm1', ...sending, ...more, ...receiving);
    expect(nic.vf('vm1')).toMatchObject({
      ...{ txShare: 1e9, txMax: 5e9, txWeight: 2, txPriority: 1, txBurst: 2 ** 21 },
      ...{ txMaxPackets: 1e6, rxMax: 5e9, rxMaxPackets: 2e6 },
    });
    expect(nic.disconnected).toEqual([]);
    const text = await printed('vf', 'show', 'vm1');
    for (const line of ['txMax +5Gbit', 'txBurst +2MB', 'txMaxPackets +1M', 'group +none']) {
      expect(text).toMatch(new RegExp(`^${line}$`, 'm'));
    }
    await printed('vf', 'add', 'vm2', '--socket', '/s/2', '--rx-max', '800k');
    expect(nic.vf('vm2')).toMatchObject({ rxMax: 800_000, txMax: 0 });
    const { code, stderr } = await run('vf', 'set', 'vm1', '--tx-max', 'fast');
    expect([code, stderr]).toEqual([1, expect.stringContaining('txMax must be a rate such as')]);
  });

  it('is set for an uplink, which stays open', async () => {
    await printed('uplink', 'add', 'lan', 'null', '--capacity', '10Gbit');
    expect(nic.uplink('lan')).toMatchObject({ capacity: 10e9, overhead: 24 });
    await printed('uplink', 'set', 'lan', '--capacity', 'auto', '--overhead', '38');
    expect(nic.uplink('lan')).toMatchObject({ capacity: 'auto', overhead: 38 });
  });

  it('is shown beside what each gets now', async () => {
    await nic.setVf('vm1', { txMax: '5Gbit' });
    const rows = (await printed('rate')).trimEnd().split('\n');
    expect(rows.map((row) => row.split(/ {2,}/).slice(0, 5))).toEqual([
      ['NAME', 'KIND', 'IN', 'SHARE', 'MAX'],
      ['nic0', 'nic', '-', '-', 'none'],
      ['vm1', 'vf', 'none', 'none', '5Gbit'],
    ]);
    const nodes = JSON.parse(await printed('rate', '--json')) as object[];
    expect(nodes[1]).toMatchObject({ name: 'vm1', txMax: 5e9, bitsPerSecond: 0, heldPercent: 0 });
  });
});

describe('heddle uplink', () => {
  it('adds one with VLANs and sets them', async () => {
    await printed('uplink', 'add', 'lan', 'null', '--trunk', '10,20');
    expect(nic.uplink('lan').vlan).toEqual({ trunk: [10, 20] });
    await printed('uplink', 'set', 'lan', '--native', '10');
    expect(await printed('uplink', 'show', 'lan')).toMatch(/^vlan +trunk 10,20 native 10$/m);
    expect(await printed('uplink', 'list')).toContain('trunk 10,20 native 10');
    await printed('uplink', 'set', 'lan', '--no-vlan');
    expect(nic.uplink('lan').vlan).toEqual({});
  });
});

describe('heddle stats and fdb', () => {
  it('prints totals and every drop reason', async () => {
    expect(await printed('stats')).toBe(
      'VF   STATE  TX PACKETS  TX BYTES  TX DROPS  RX PACKETS  RX BYTES  RX DROPS\n' +
        'vm1  down           11      1100         1          10      1000         2\n\n' +
        'VF   DROPS  REASON         COUNT\n' +
        'vm1  tx     noDestination      1\n' +
        'vm1  rx     ringFull           2\n',
    );
    expect(JSON.parse(await printed('stats', '--json'))).toEqual(nic.stats());
  });

  it('prints every counter of one port with its meaning', async () => {
    const lines = (await printed('stats', 'vm1')).split('\n');
    expect(lines[0]).toMatch(/^OF +COUNTER +COUNT +WHAT IT COUNTS$/);
    const row = (of: string, name: string) =>
      lines.find((line) => new RegExp(`^${of} +${name} `).test(line));
    for (const name of ['packets', 'forwarded', 'kicks', 'faults']) {
      expect(row('tx', name)).toBeDefined();
    }
    expect(row('rx', 'groMerged')).toMatch(/ 0 {2}Frames that GRO joined /);
    expect(row('rx.drops', 'ringFull')).toMatch(
      / 2 {2}The guest had no buffer ready, and the frame could not wait for one\.$/,
    );
    expect(row('rx', 'forwarded')).toBeUndefined();
    expect(row('wire', 'sent')).toBeUndefined();
    expect(JSON.parse(await printed('stats', 'vm1', '--json'))).toEqual(nic.stats().vfs[0]);
    const { code, stderr } = await run('stats', 'vm7');
    expect([code, stderr]).toEqual([1, expect.stringContaining('named vm7')]);
  });

  it('prints rates every second with --watch, and ends when the NIC does', async () => {
    let seconds = 0;
    const first = nic.stats();
    nic.stats = () => {
      seconds++;
      if (seconds === 4) throw new Error('the NIC has gone');
      const vfs = first.vfs.map((vf) => ({
        ...vf,
        tx: { ...vf.tx, packets: seconds * 5000, bytes: seconds * 5e6 },
      }));
      return { ...first, uptimeSeconds: seconds, vfs };
    };
    const { code, stdout } = await run('stats', '--watch');
    expect(code).toBe(1);
    const line =
      'vm1  down           5000      40.00         1             0       0.00         2\n';
    expect(stdout.split(line)).toHaveLength(3);
    seconds = 0;
    const one = (await run('stats', 'vm1', '--watch')).stdout;
    expect(one.match(/^tx +packets +1?\d000 +5000 {2}Frames /gm)).toHaveLength(2);
  });

  it('prints the addresses', async () => {
    const header = 'MAC                VLAN  PORT  ORIGIN  AGE\n';
    expect(await printed('fdb')).toBe(`${header}02:00:00:00:00:01  -     vm1   static  -\n`);
    await nic.setVf('vm1', { vlan: { access: 10 } });
    expect(await printed('fdb')).toBe(`${header}02:00:00:00:00:01    10  vm1   static  -\n`);
    expect(JSON.parse(await printed('fdb', '--json'))).toEqual(nic.fdb());
  });
});

describe('heddle apply', () => {
  it('prints the actions, carries them out, and then has nothing left to do', async () => {
    const vm2 = '  - {name: vm2, socket: /s/2, mac: 02:00:00:00:00:02}\n';
    writeFileSync(file, `vfs:\n${vm1}${vm2}`);
    const text = '+ vm2  /s/2  02:00:00:00:00:02\n';
    expect(await printed('apply', file, '--dry-run')).toBe(text);
    expect(nic.vfs()).toHaveLength(1);
    expect(await printed('apply', file)).toBe(text);
    expect(nic.vfs()).toHaveLength(2);
    expect(nic.disconnected).toEqual([]);
    expect(await printed('apply', file)).toBe('nothing to change\n');
    expect(JSON.parse(await printed('apply', file, '--json'))).toEqual([]);
  });

  it('reports a mistake with its line, and changes nothing', async () => {
    writeFileSync(file, `vfs:\n${vm1}  - {name: vm1, socket: /s/2}\n`);
    const { code, stderr } = await run('apply', file);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        `heddle: Cannot use ${file}:3:12 because vfs[1].name repeats the name of vfs[0] (vm1): ` +
        'received vm1\n  Choose another name: VFs, groups, uplinks and entropy devices must all have different ones.\n',
    });
  });
});

describe('heddle qemu', () => {
  it('prints the arguments, the XML and the flags', async () => {
    expect(await printed('qemu', 'vm1', '--memory', '2G')).toMatch(
      /^-m 2G \\\n-object memory-backend-memfd,.*size=2G,share=on \\\n/,
    );
    expect(await printed('qemu', 'vm1', '--libvirt')).toContain("<interface type='vhostuser'>");
    expect(await printed('qemu', 'vm1', '--cloud-hypervisor')).toContain('vhost_user=true');
    expect(JSON.parse(await printed('qemu', 'vm1', '--json'))).toContain('memory-backend=mem');
    // QEMU's -m assumes MiB, its memory back end bytes: both get the unit.
    expect(await printed('qemu', 'vm1', '--memory', '512')).toMatch(/^-m 512M .*\n.*size=512M,/);
    const emulated = await printed('qemu', 'vm1', '--accel', 'tcg', '--qemu-version', '7.2');
    expect(emulated).toMatch(/vectors=0.* \\\n-accel tcg \\\n-smp 1,maxcpus=2\n$/);
  });

  it('works from a file, without a NIC', async () => {
    await server.close();
    writeFileSync(file, `vfs:\n${vm1}`);
    const fromFile = await printed('qemu', 'vm1', '--config', file, '--qemu-version', '7.2');
    expect(fromFile).toContain('path=/s/1,reconnect=1 ');
    const { code, stderr } = await run('qemu', 'vm9', '--config', file);
    expect({ code, first: stderr.split('\n')[0] }).toEqual({
      code: 1,
      first: 'heddle: The NIC has no VF named vm9',
    });
  });
});

describe('heddle check', () => {
  it('accepts', async () => {
    writeFileSync(file, `processors: 2\nvfs:\n  - {name: vm1, socket: ${file}.1}\n`);
    expect(await printed('check', file)).toBe(`${file}: valid: nic0, 1 VF, 2 processors\n`);
    expect(JSON.parse(await printed('check', file, '--json'))).toMatchObject({ processors: 2 });
  });

  it('checks the directories of sockets and traces', async () => {
    const uplink = '{name: w, type: stream, socket: /nowhere/w, trace: /nowhere/w.pcapng}';
    writeFileSync(file, `vfs:\n${vm1}control: /nowhere/c\nuplinks:\n  - ${uplink}\n`);
    const { code, stderr } = await run('check', file);
    expect(code).toBe(1);
    const found = [...stderr.matchAll(/:(\d+:\d+) because the directory of (\S+) does not exist/g)];
    expect(found.map(([, where, key]) => `${where} ${key}`)).toEqual([
      '2:25 vfs[0].socket',
      '3:10 control',
      '5:37 uplinks[0].socket',
      '5:56 uplinks[0].trace',
    ]);
  });

  it('reports a full disk behind its output', () => {
    writeFileSync(file, 'vfs: []\n');
    const full = openSync('/dev/full', 'w');
    const stdio = ['ignore', full, 'pipe'] as const;
    const words = [mainScript, 'check', file];
    const { status, stderr } = spawnSync(process.execPath, words, { stdio: [...stdio] });
    closeSync(full);
    expect({ status, stderr: stderr.toString() }).toEqual({
      status: 1,
      stderr: expect.stringMatching(/^heddle: Cannot print .*ENOSPC\n {2}.*\n$/),
    });
  });

  it('treats a directory that is a link to itself as missing', async () => {
    const loop = join(directory, 'dead-end');
    writeFileSync(file, `vfs:\n  - {name: vm1, socket: ${loop}/x.sock}\n`);
    symlinkSync(loop, loop);
    const { code, stderr } = await run('check', file);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('because the directory of vfs[0].socket does not exist'),
    });
  });

  it('shows every mistake', async () => {
    writeFileSync(file, 'processors: 0\nvfs:\n  - {name: vm1, sockt: /s/1}\n');
    const { code, stdout, stderr } = await run('check', file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      `heddle: Cannot use ${file}:1:13 because processors must be a whole number from 1 to 16: ` +
        'received 0',
      '  Each processor is a worker thread; more processors than cores do not help.',
      `heddle: Cannot use ${file}:3:5 because vfs[0].socket is missing: it must be an absolute ` +
        'path of at most 107 bytes',
      '  Add the key.',
      `heddle: Cannot use ${file}:3:17 because vfs[0] has no key "sockt"`,
      '  Did you mean "socket"? Allowed are name, socket, mode, mac, queuePairs, mtu, ' +
        'allowUnsealedMemory, disabledFeatures, enabledFeatures, vlan, linkState, gro, group, ' +
        'txShare, txMax, txWeight, txPriority, txBurst, txMaxPackets, rxMax, rxMaxPackets.',
      '',
    ]);
  });
});

describe('help and wrong usage', () => {
  const commands = [
    ...[
      [],
      ['up'],
      ['vf'],
      ['group'],
      ['rate'],
      ['stats'],
      ['fdb'],
      ['apply'],
      ['qemu'],
      ['check'],
    ],
    ...['list', 'show', 'add', 'set', 'remove'].map((name) => ['vf', name]),
    ...['list', 'add', 'set', 'remove'].map((name) => ['group', name]),
  ];
  it.each(commands.map((words) => [words.join(' '), words] as const))(
    'heddle %s --help has an example',
    async (name, words) => {
      const text = await printed(...words, '--help');
      expect(text).toMatch(new RegExp(`Examples?:\\n {2}\\$ heddle ${name}`));
    },
  );

  it.each([
    ['an unknown command', ['frobnicate'], "heddle: unknown command 'frobnicate'"],
    ['an unknown option', ['fdb', '--colour'], "heddle: unknown option '--colour'"],
    ['a missing argument', ['vf', 'show'], "heddle: missing required argument 'name'"],
    ['no socket', ['vf', 'add', 'vm2'], 'heddle: vf add needs --socket <path>'],
    ['nothing to set', ['vf', 'set', 'vm1'], 'heddle: vf set needs something to set'],
    ['no group to set', ['group', 'set', 'gold'], 'heddle: group set needs something to set'],
    ['a word for a number', ['vf', 'set', 'vm1', '--mtu', 'big'], 'Give a whole number.'],
    ['no size', ['qemu', 'vm1', '--memory', '7x'], 'Give a size such as 512M or 4G.'],
    ['two formats', ['qemu', 'vm1', '--libvirt', '--cloud-hypervisor'], 'cannot be used with'],
    ['no command', [], 'Usage: heddle'],
  ])('%s exits with 2', async (_, words, message) => {
    const { code, stdout, stderr } = await run(...words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('a refusal by the NIC exits with 1 and a hint', async () => {
    const { code, stderr } = await run('vf', 'set', 'vm1', '--mtu', '1');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'heddle: Cannot use the request because mtu must be a whole number from 68 to 65535: ' +
        'received 1\n  Change the value.\n',
    });
  });

  it('says that no NIC runs', async () => {
    const { code, stderr } = await run('fdb', '--control', '/tmp/nobody.sock');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'heddle: No NIC listens on the control socket /tmp/nobody.sock\n' +
        '  Start one with "heddle up", or give its socket with --control or HEDDLE_CONTROL.\n',
    });
  });
});
