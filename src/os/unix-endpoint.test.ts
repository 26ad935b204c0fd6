import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { CloseAccount } from './closer.ts';
import { c } from './libc.ts';
import { Poller } from './poller.ts';
import { SystemError } from './system-error.ts';
import { ClientEndpoint, type Endpoint, ServerEndpoint } from './unix-endpoint.ts';
import {
  bindUnixSocket,
  connectUnixSocket,
  createUnixSocket,
  listenUnixSocket,
} from './unix-socket.ts';

const ENOSPC = 28;

const directory = mkdtempSync(join(tmpdir(), 'heddle-endpoint-'));
const poller = new Poller();
const endpoints: Endpoint[] = [];
const fds: number[] = [];
let pathCount = 0;

afterEach(() => {
  for (const endpoint of endpoints.splice(0)) endpoint.close();
  for (const fd of fds.splice(0)) c.close(fd);
});

afterAll(() => poller.close());

function freshPath(): string {
  pathCount += 1;
  return join(directory, `${pathCount}.sock`);
}

/** An endpoint whose connections can be awaited one by one. */
function meeting() {
  const waiting: ((fd: number) => void)[] = [];
  const arrived: number[] = [];
  const troubles: string[] = [];
  const listener = {
    closes: new CloseAccount(() => undefined),
    onConnection: (fd: number) => {
      fds.push(fd);
      const waiter = waiting.shift();
      if (waiter === undefined) arrived.push(fd);
      else waiter(fd);
      return true;
    },
    onTrouble: (reason: string) => void troubles.push(reason),
  };
  const next = () =>
    new Promise<number>((resolve) => {
      const fd = arrived.shift();
      if (fd === undefined) waiting.push(resolve);
      else resolve(fd);
    });
  return { listener, next, troubles };
}

/** As a poller does that has no room for the connection. */
function refuse(): never {
  throw new SystemError('epoll_ctl', ENOSPC);
}

function serve(path: string, listener = meeting().listener): ServerEndpoint {
  const endpoint = new ServerEndpoint(path, poller, listener);
  endpoints.push(endpoint);
  return endpoint;
}

function connect(path: string): number {
  const fd = createUnixSocket();
  fds.push(fd);
  return connectUnixSocket(fd, path);
}

/** A front-end that listens, for the client endpoint to find. */
function listen(path: string): number {
  const fd = createUnixSocket();
  fds.push(fd);
  bindUnixSocket(fd, path);
  listenUnixSocket(fd);
  return fd;
}

describe('a server endpoint', () => {
  it('accepts its front-ends, one after another', async () => {
    const path = freshPath();
    const { listener, next } = meeting();
    serve(path, listener);
    for (let round = 0; round < 3; round++) {
      expect(connect(path)).toBe(0);
      expect(await next()).toBeGreaterThan(0);
    }
  });

  it.each([
    ['that its VF turns away', () => false],
    ['that its VF could not take', refuse],
  ])('closes a connection %s', async (_, onConnection) => {
    const path = freshPath();
    serve(path, { ...meeting().listener, onConnection });
    const fd = createUnixSocket();
    fds.push(fd);
    expect(connectUnixSocket(fd, path)).toBe(0);
    await new Promise<void>((resolve) => {
      poller.add(fd, () => {
        poller.remove(fd);
        resolve();
      });
    });
  });

  it('removes its socket when it closes, but not one that replaced it', () => {
    const path = freshPath();
    serve(path);
    endpoints.pop()?.close();
    expect(existsSync(path)).toBe(false);
    serve(path);
    const old = endpoints.pop();
    spawnSync('rm', [path]);
    listen(path);
    old?.close();
    expect(lstatSync(path).isSocket()).toBe(true);
  });

  it('replaces a socket that nobody listens on', () => {
    const path = freshPath();
    c.close(listen(path));
    fds.pop();
    expect(lstatSync(path).isSocket()).toBe(true);
    serve(path);
    expect(connect(path)).toBe(0);
  });

  it('leaves a live one alone', () => {
    const path = freshPath();
    serve(path);
    expect(() => serve(path)).toThrow(expect.objectContaining({ code: 'HEDDLE_SOCKET_IN_USE' }));
    expect(connect(path)).toBe(0);
  });

  it('leaves any other file alone', () => {
    const path = freshPath();
    writeFileSync(path, 'letters');
    const code = 'HEDDLE_SOCKET_NOT_A_SOCKET';
    expect(() => serve(path)).toThrow(expect.objectContaining({ code }));
    expect(readFileSync(path, 'utf8')).toBe('letters');
  });

  it('reports a missing directory', () => {
    const code = 'HEDDLE_SOCKET_DIRECTORY_MISSING';
    const path = join(directory, 'no/such/x.sock');
    expect(() => serve(path)).toThrow(expect.objectContaining({ code }));
  });

  it('reports a directory that is a file, or a link to itself', () => {
    const path = freshPath();
    writeFileSync(path, '');
    const code = 'HEDDLE_SOCKET_DIRECTORY_MISSING';
    expect(() => serve(`${path}/x.sock`)).toThrow(expect.objectContaining({ code }));
    const loop = freshPath();
    symlinkSync(loop, loop);
    const refused = { code: 'HEDDLE_KERNEL_REFUSED', message: expect.stringContaining('ELOOP') };
    expect(() => serve(`${loop}/x.sock`)).toThrow(expect.objectContaining(refused));
  });

  it('closes even if its directory is no longer accessible', () => {
    const path = join(directory, 'closing', 'x.sock');
    mkdirSync(dirname(path));
    const endpoint = new ServerEndpoint(path, poller, meeting().listener);
    renameSync(dirname(path), join(directory, 'moved'));
    writeFileSync(dirname(path), ''); // ENOTDIR, since EACCES would not stop root
    expect(() => endpoint.close()).not.toThrow();
  });

  it('reports a directory that is not writable', (context) => {
    // Root may write in any ordinary directory; in sysfs nobody creates files.
    if (!existsSync('/sys/kernel')) return context.skip('no sysfs here');
    const code = 'HEDDLE_SOCKET_NOT_WRITABLE';
    expect(() => serve('/sys/kernel/x.sock')).toThrow(expect.objectContaining({ code }));
  });

  it.each(['server', 'client'])('as %s refuses a path that is too long', (mode) => {
    const path = join(directory, 'x'.repeat(120));
    const code = 'HEDDLE_SOCKET_PATH_TOO_LONG';
    const open = () =>
      mode === 'server' ? serve(path) : new ClientEndpoint(path, poller, meeting().listener);
    expect(open).toThrow(expect.objectContaining({ code }));
  });
});

describe('a client endpoint', () => {
  it('connects to a front-end that listens', async () => {
    const path = freshPath();
    listen(path);
    const { listener, next } = meeting();
    endpoints.push(new ClientEndpoint(path, poller, listener));
    expect(await next()).toBeGreaterThan(0);
  });

  it('retries until one listens, and reconnects when it is lost', async () => {
    const path = freshPath();
    const { listener, next, troubles } = meeting();
    const endpoint = new ClientEndpoint(path, poller, listener);
    endpoints.push(endpoint);
    await new Promise((resolve) => setTimeout(resolve, 20)); // the first attempt finds nobody
    listen(path);
    const first = await next();
    endpoint.resume();
    const second = await next();
    expect(second).not.toBe(first);
    expect(troubles).toEqual([]);
  });

  it('closes a connection that nobody could take, and tries again', async () => {
    const path = freshPath();
    listen(path);
    const { listener, next, troubles } = meeting();
    const before = openFdCount();
    const onConnection = (fd: number): boolean => {
      return troubles.length < 2 ? refuse() : listener.onConnection(fd);
    };
    endpoints.push(new ClientEndpoint(path, poller, { ...listener, onConnection }));
    await next();
    expect(troubles).toEqual(['epoll_ctl failed: ENOSPC', 'epoll_ctl failed: ENOSPC']);
    expect(openFdCount()).toBe(before + 1);
  });

  it('stops trying once it is closed', async () => {
    const path = freshPath();
    const { listener } = meeting();
    const endpoint = new ClientEndpoint(path, poller, {
      ...listener,
      onConnection: () => {
        throw new Error('connected after its end');
      },
    });
    endpoint.close();
    endpoint.resume();
    listen(path);
    await new Promise((resolve) => setTimeout(resolve, 150));
  });
});
