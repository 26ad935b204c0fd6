// The built command with the real NIC: its sockets, and every way they can be refused.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { heddle, type Outcome, RunningCommand } from '../../test/support/command-process.ts';
import { ControlClient } from '../api/client.ts';
import { findProgram } from '../demo/guest/requirements.ts';
import type { VfInfo } from '../functions/net/types.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const script = join(root, 'dist/src/cli/main.js');
const base = mkdtempSync(join(tmpdir(), 'heddle-real-'));
const session = { XDG_RUNTIME_DIR: base, HEDDLE_CONTROL: '' };
const run = (...words: string[]): Promise<Outcome> => heddle(words, session, script);
const vf = (name: string, socket: string): string => `  - {name: ${name}, socket: ${socket}}\n`;

let number = 0;
function configFile(vfs: string): string {
  const file = join(base, `nic${number++}.yaml`);
  writeFileSync(file, `vfs:\n${vfs}`);
  return file;
}

describe('heddle with the real NIC', () => {
  const running: RunningCommand[] = [];
  const start = async (...words: string[]): Promise<RunningCommand> => {
    const up = new RunningCommand(['up', ...words], session, script);
    running.push(up);
    await up.said(/^ready$/m);
    return up;
  };

  beforeAll(() => {
    expect(existsSync(script), 'run "npm run build" first').toBe(true);
  });
  afterEach(async () => {
    for (const up of running.splice(0)) await up.stop('SIGTERM');
  });

  it('listens on every socket when it is ready, and removes all of them', async () => {
    const up = await start();
    const sockets = ['vm1', 'vm2', 'control'].map((name) => join(base, 'heddle', `${name}.sock`));
    for (const socket of sockets) expect(statSync(socket).isSocket()).toBe(true);
    const { code, seconds } = await up.stop('SIGTERM');
    expect(code).toBe(0);
    expect(seconds, 'two on an idle machine').toBeLessThan(10);
    for (const socket of sockets) expect(existsSync(socket)).toBe(false);
  });

  it('adds, changes, applies and removes VFs while it runs', async () => {
    await start();
    const socket = join(base, 'vm3.sock');
    expect(await run('vf', 'add', 'vm3', '--socket', socket)).toMatchObject({ code: 0 });
    expect(statSync(socket).isSocket()).toBe(true);
    const moved = join(base, 'moved.sock');
    expect(await run('vf', 'set', 'vm3', '--socket', moved)).toMatchObject({ code: 0 });
    expect([existsSync(socket), existsSync(moved)]).toEqual([false, true]);
    expect(await run('vf', 'set', 'vm3', '--mac', '02:00:00:00:00:77')).toMatchObject({ code: 0 });
    expect((await run('vf', 'show', 'vm3')).stdout).toMatch(/^mac +02:00:00:00:00:77$/m);
    // A VF without a guest attracts no frames: its address is not in the table.
    expect((await run('fdb')).stdout).toBe('MAC  VLAN  PORT  ORIGIN  AGE\n');
    expect((await run('stats')).stdout).toMatch(/^vm3 +down +0 /m);
    const file = configFile(vf('vm1', join(base, 'heddle', 'vm1.sock')));
    expect((await run('apply', file)).stdout).toBe('- vm2\n- vm3\n');
    expect(existsSync(moved)).toBe(false);
    expect(await run('vf', 'remove', 'vm1')).toMatchObject({ code: 0 });
    expect(JSON.parse((await run('vf', 'list', '--json')).stdout)).toEqual([]);
  });

  it('adds, shows, changes, applies and removes uplinks while it runs', async () => {
    const up = await start();
    const api = new ControlClient(join(base, 'heddle', 'control.sock'));
    const socket = join(base, 'old.sock');
    const added = await run('uplink', 'add', 'old', 'stream', '--socket', socket, '--json');
    expect(JSON.parse(added.stdout)).toMatchObject({ name: 'old', type: 'stream', state: 'down' });
    expect(statSync(socket).isSocket()).toBe(true);
    expect((await run('uplink', 'list')).stdout).toMatch(
      /^old +stream +down +none +\/.*old\.sock/m,
    );

    const peer = connect(socket);
    const isUp = async () => expect((await api.uplink('old')).state).toBe('up');
    await vi.waitFor(isUp, { timeout: 40_000 });
    const shown = (await run('uplink', 'show', 'old')).stdout;
    expect(shown).toMatch(/^state +up$/m);
    expect(shown).toMatch(/^capabilities +mtu=1500 checksum=false segmentation=none/m);
    expect((await run('stats')).stdout).toMatch(/^old +up /m);
    expect((await api.stats()).uplinks[0]).toMatchObject({ name: 'old', type: 'stream' });

    const moved = join(base, 'moved-uplink.sock');
    const set = await run('uplink', 'set', 'old', '--socket', moved, '--mtu', '9000', '--json');
    expect(JSON.parse(set.stdout)).toMatchObject({ socket: moved, mtu: 9000, type: 'stream' });
    expect([existsSync(socket), existsSync(moved)]).toEqual([false, true]);
    peer.destroy();

    await api.addUplink({ name: 'drain', type: 'null' });
    expect((await api.uplinks()).map(({ name }) => name)).toEqual(['old', 'drain']);
    const file = configFile(vf('vm1', join(base, 'heddle', 'vm1.sock')));
    appendFileSync(file, 'uplinks:\n  - {name: drain, type: "null"}\n');
    expect((await run('apply', file)).stdout).toBe('- vm2\n- uplink old\n');
    expect(existsSync(moved)).toBe(false);
    expect(await run('uplink', 'remove', 'drain')).toMatchObject({ code: 0, stdout: '' });
    expect(JSON.parse((await run('uplink', 'list', '--json')).stdout)).toEqual([]);
    expect(up.process.exitCode).toBeNull();
  });

  it('refuses impossible uplinks, each with its reason, and continues', async () => {
    await start();
    const refusals: [words: string[], code: number, complaint: string][] = [
      [['show', 'none'], 1, 'none'],
      [['remove', 'none'], 1, 'none'],
      [['set', 'none', '--mtu', '9000'], 1, 'none'],
      [['add', 'x', 'packet', '--interface', 'nowhere'], 1, 'nowhere'],
      [['add', 'x', 'null', '--mtu', '1'], 1, 'mtu'],
      [['add', 'vm1', 'null'], 1, 'vm1'],
      [['add', 'x', 'pigeon'], 2, 'pigeon is not a type of uplink; the types are'],
      [['set', 'vm1'], 2, 'uplink set needs something to set'],
    ];
    for (const [words, code, complaint] of refusals) {
      const outcome = await run('uplink', ...words);
      const stderr = expect.stringContaining(complaint) as string;
      expect({ words, ...outcome }).toEqual({ words, code, stdout: '', stderr });
    }
    expect((await run('uplink', 'list', '--json')).stdout).toBe('[]\n');
  });

  it('swaps the sockets of two VFs', async () => {
    const [a, b] = [join(base, 'a.sock'), join(base, 'b.sock')];
    await start('--config', configFile(vf('v1', a) + vf('v2', b)));
    expect(await run('apply', configFile(vf('v1', b) + vf('v2', a)))).toMatchObject({ code: 0 });
    expect((await run('vf', 'list')).stdout).toMatch(/v1.*b\.sock\n.*v2.*a\.sock/);
  });

  it('gives a VF its old socket back when the new one is refused', async () => {
    await start();
    const { code, stderr } = await run('vf', 'set', 'vm1', '--socket', '/nowhere/vm1.sock');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(
        'Cannot listen on /nowhere/vm1.sock: its directory does not exist',
      ),
    });
    const { socket } = JSON.parse((await run('vf', 'show', 'vm1', '--json')).stdout) as VfInfo;
    expect(socket).toBe(join(base, 'heddle', 'vm1.sock'));
    expect(statSync(socket).isSocket()).toBe(true);
  });

  async function refusal(socket: string): Promise<string> {
    const good = join(base, 'good.sock');
    const file = configFile(vf('good', good) + vf('bad', socket));
    const { code, stderr } = await run('up', '--config', file);
    expect(code).toBe(1);
    expect(existsSync(good), 'the other socket was left behind').toBe(false);
    return stderr;
  }

  it('refuses a socket that another process listens on, and leaves it alone', async () => {
    const socket = join(base, 'live.sock');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    expect(await refusal(socket)).toContain('another process listens there');
    expect(existsSync(socket)).toBe(true);
    server.close();
  });

  it('refuses a missing directory, one that is not writable, and a file', async () => {
    expect(await refusal(join(base, 'none', 's.sock'))).toContain('its directory does not exist');
    // Not even root creates files in /sys.
    expect(await refusal('/sys/heddle.sock')).toContain('this user may not write there');
    const file = join(base, 'precious');
    writeFileSync(file, 'precious');
    expect(await refusal(file)).toContain('a file that is not a socket has this path');
  });

  it('takes over the sockets of a NIC that was killed', async () => {
    const killed = await start();
    await killed.stop('SIGKILL');
    expect(existsSync(join(base, 'heddle', 'vm1.sock'))).toBe(true);
    await start();
  });

  it('QEMU accepts the arguments that "heddle qemu" prints', async ({ skip }) => {
    const qemu = findProgram('qemu-system-x86_64');
    if (qemu === undefined) return skip('qemu-system-x86_64 is not installed');
    const file = join(base, 'qemu.yaml');
    const rest = 'queuePairs: 2, mtu: 9000, allowUnsealedMemory: false}\n';
    const listens = `  - {name: 1st, socket: ${base}/1st.sock}\n`;
    const connects = `  - {name: 2nd, socket: "${base}/a, b.sock", mode: client, ${rest}`;
    writeFileSync(file, `vfs:\n${listens}${connects}`);
    await start('--config', file);
    for (const name of ['1st', '2nd']) {
      const { stdout } = await run('qemu', name, '--memory', '64M');
      // Pasted into a shell, as a user would; -S creates the machine without running it.
      const command = `exec ${qemu} ${stdout.trim()} -nodefaults -display none -S`;
      const vm = spawn('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] });
      let complaint = '';
      vm.stderr.on('data', (text) => {
        complaint += String(text);
      });
      await vi.waitFor(
        async () => {
          expect({ exit: vm.exitCode, complaint }).toMatchObject({ exit: null });
          const shown = JSON.parse((await run('vf', 'show', name, '--json')).stdout) as VfInfo;
          expect(shown.state).toBe('connected');
        },
        { timeout: 20_000, interval: 200 },
      );
      vm.kill();
      await once(vm, 'close');
      expect(complaint).not.toMatch(/invalid|error|Could not|doesn't/i);
    }
  });

  // They run out while Node loads its modules or while the NIC opens its sockets.
  it.each([96, 160])('says that no file descriptors are left of %i', async (limit) => {
    const sockets = Array.from({ length: 200 }, (_, i) => vf(`v${i}`, join(base, `v${i}`)));
    const words = [script, 'up', '--config', configFile(sockets.join(''))];
    const command = `ulimit -n ${limit}; exec "$0" "$@"`;
    const child = spawn('sh', ['-c', command, process.execPath, ...words], {
      env: { ...process.env, ...session },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining(': no file descriptors are left'),
    });
  });
});
