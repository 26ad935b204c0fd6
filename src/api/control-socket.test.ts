import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import { ControlClient } from './client.ts';
import { openControlSocket } from './control-socket.ts';

const directory = mkdtempSync(join(tmpdir(), 'heddle-control-'));
const app = new Hono().get('/v1/fdb', (c) => c.json([]));

describe('the control socket', () => {
  it('is accessible only to its owner, whatever the umask, and is removed with its server', async () => {
    const path = join(directory, 'mode.sock');
    const mask = process.umask(0);
    const opening = openControlSocket(app, path);
    const server = await opening.finally(() => process.umask(mask));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await new ControlClient(path).fdb()).toEqual([]);
    await server.close();
    expect(existsSync(path)).toBe(false);
  });

  it('is refused while another process listens on it', async () => {
    const path = join(directory, 'live.sock');
    const server = await openControlSocket(app, path);
    await expect(openControlSocket(app, path)).rejects.toMatchObject({
      code: 'HEDDLE_CONTROL_IN_USE',
      message: `Another NIC already uses the control socket ${path}`,
    });
    expect(await new ControlClient(path).fdb()).toEqual([]);
    await server.close();
  });

  it('is taken over from a process that was killed', async () => {
    const path = join(directory, 'stale.sock');
    const script = `require('net').createServer().listen('${path}', () => console.log())`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(statSync(path).isSocket()).toBe(true);
    const server = await openControlSocket(app, path);
    expect(await new ControlClient(path).fdb()).toEqual([]);
    await server.close();
  });

  it('never replaces a file', async () => {
    const path = join(directory, 'file');
    writeFileSync(path, 'precious');
    await expect(openControlSocket(app, path)).rejects.toMatchObject({
      code: 'HEDDLE_SOCKET_NOT_A_SOCKET',
    });
    expect(existsSync(path)).toBe(true);
  });

  it('is refused if its path is too long or its directory missing', async () => {
    const long = join(directory, 'x'.repeat(107));
    await expect(openControlSocket(app, long)).rejects.toMatchObject({
      code: 'HEDDLE_SOCKET_PATH_TOO_LONG',
    });
    const file = join(directory, 'no-directory');
    writeFileSync(file, '');
    for (const missing of [join(directory, 'no'), file]) {
      await expect(openControlSocket(app, join(missing, 's'))).rejects.toMatchObject({
        code: 'HEDDLE_SOCKET_DIRECTORY_MISSING',
      });
    }
  });

  it('is refused where this user may not write', async () => {
    // Not even root creates files in /proc.
    await expect(openControlSocket(app, '/proc/heddle.sock')).rejects.toMatchObject({
      code: 'HEDDLE_SOCKET_NOT_WRITABLE',
    });
  });
});

describe('the client', () => {
  it('says that no NIC runs, and how to start one', async () => {
    const path = join(directory, 'nobody.sock');
    await expect(new ControlClient(path).vfs()).rejects.toMatchObject({
      code: 'HEDDLE_CONTROL_ABSENT',
      message: `No NIC listens on the control socket ${path}`,
      hint: 'Start one with "heddle up", or give its socket with --control or HEDDLE_CONTROL.',
    });
  });

  it('reports a NIC that disappears during a request, or is not a NIC', async () => {
    const path = join(directory, 'odd.sock');
    const answers = ['', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<p>hi'];
    const server = createServer((socket) => socket.resume().end(answers.shift() ?? '')).listen(
      path,
    );
    const client = new ControlClient(path);
    await expect(client.vfs()).rejects.toMatchObject({ code: 'HEDDLE_CONTROL_LOST' });
    await expect(client.vfs()).rejects.toThrow(': its answer is not JSON');
    await new Promise((resolve) => server.close(resolve));
  });
});
