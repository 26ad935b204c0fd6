import { mkdtempSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeNic } from '../../test/support/fake-nic.ts';
import { OperatorError } from '../errors.ts';
import { createApi } from './app.ts';
import { ControlClient, type NicEvent } from './client.ts';
import { type ControlSocket, openControlSocket } from './control-socket.ts';

const path = join(mkdtempSync(join(tmpdir(), 'heddle-api-')), 'control.sock');
const bugs: unknown[] = [];
let nic: FakeNic;
let server: ControlSocket;
let client: ControlClient;

beforeEach(async () => {
  bugs.length = 0;
  nic = new FakeNic({ name: 'nic0', vfs: [{ name: 'vm1', socket: '/s/1' }] });
  const app = createApi(nic, { onInternalError: (error) => bugs.push(error) });
  server = await openControlSocket(app, path);
  client = new ControlClient(path);
});
afterEach(() => server.close());

async function refusal(promise: Promise<unknown>): Promise<OperatorError> {
  const error = await promise.then(
    () => new Error('the request was accepted'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OperatorError);
  return error as OperatorError;
}

/** A request that any program might send. */
function raw(
  method: string,
  route: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: path, method, path: route, agent: false },
      async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode ?? 0, text });
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

describe('the API over its socket', () => {
  it('reports the NIC, its counters and its addresses', async () => {
    expect(await client.nic()).toMatchObject({
      name: 'nic0',
      pid: process.pid,
      uptimeSeconds: 61.5,
    });
    expect(await client.stats()).toEqual(nic.stats());
    expect(await client.fdb()).toEqual(nic.fdb());
    expect(await client.vfs()).toEqual(nic.vfs());
    expect(await client.vf('vm1')).toEqual(nic.vf('vm1'));
  });

  it('adds, changes and removes a VF', async () => {
    expect(await client.addVf({ name: 'vm2', socket: '/s/2' })).toMatchObject({ mtu: 1500 });
    expect(await client.setVf('vm2', { mtu: 9000 })).toMatchObject({ name: 'vm2', mtu: 9000 });
    expect(nic.vf('vm2').mtu).toBe(9000);
    expect(await client.removeVf('vm2')).toBeUndefined();
    expect(nic.vfs()).toHaveLength(1);
  });

  it('adds, changes and removes a group, and what is in it', async () => {
    const added = await client.addGroup({ name: 'gold', txMax: '20Gbit' });
    expect(added).toMatchObject({ name: 'gold', txMax: 20e9, members: [] });
    const words = { group: 'gold', txShare: '1Gbit', txBurst: '2MB' };
    expect(await client.setVf('vm1', words)).toMatchObject({ txShare: 1e9, txBurst: 2 ** 21 });
    expect(await client.setGroup('gold', { txWeight: 4 })).toMatchObject({
      txWeight: 4,
      txMax: 20e9,
    });
    expect(await client.group('gold')).toEqual(nic.group('gold'));
    expect(await client.groups()).toEqual([{ ...nic.group('gold'), members: ['vm1'] }]);
    expect(nic.disconnected).toEqual([]);
    await client.setVf('vm1', { group: 'none' });
    expect(await client.removeGroup('gold')).toBeUndefined();
    expect(nic.groups()).toEqual([]);
  });

  it('applies a configuration, or only lists the actions', async () => {
    const wanted = { vfs: [{ name: 'vm9', socket: '/s/9' }] };
    const dry = await client.apply(wanted, { dryRun: true });
    expect(dry.map(({ type }) => type)).toEqual(['remove-vf', 'add-vf']);
    expect(nic.vfs()[0]!.name).toBe('vm1');
    expect(await client.apply(wanted)).toEqual(dry);
    expect(nic.vfs().map(({ name }) => name)).toEqual(['vm9']);
  });

  it('streams events from the moment it answers, and forgets a reader that leaves', async () => {
    const leave = new AbortController();
    const seen: NicEvent[] = [];
    const reading = (async () => {
      for await (const event of client.events(leave.signal)) {
        seen.push(event);
        if (seen.length === 2) leave.abort();
      }
    })();
    await vi.waitFor(() => expect(nic.listenerCount('fault')).toBe(1));
    nic.emit('connect', { vf: 'vm1' });
    nic.emit('fault', { vf: 'vm1', queue: 1, reason: 'two\n\nlines' });
    await reading;
    expect(seen).toEqual([
      { event: 'connect', vf: 'vm1' },
      { event: 'fault', vf: 'vm1', queue: 1, reason: 'two\n\nlines' },
    ]);
    await vi.waitFor(() => expect(nic.listenerCount('fault')).toBe(0));
  });
});

describe('the API refuses', () => {
  it('what the configuration would refuse, with the same message', async () => {
    const { code, status, message, also } = await refusal(
      client.setVf('vm1', { mtu: 1, queuePairs: 99 }),
    );
    expect({ code, status, message }).toEqual({
      code: 'HEDDLE_CONFIG_VALUE',
      status: 400,
      message:
        'Cannot use the request because queuePairs must be a whole number from 1 to 16: received 99',
    });
    expect(also.map((other) => other.message)).toEqual([
      'Cannot use the request because mtu must be a whole number from 68 to 65535: received 1',
    ]);
  });

  it.each([
    ['a VF that does not exist', () => client.vf('no/such'), 404, 'HEDDLE_VF_NOT_FOUND'],
    ['to remove it', () => client.removeVf('x'), 404, 'HEDDLE_VF_NOT_FOUND'],
    ['a name twice', () => client.addVf({ name: 'vm1', socket: '/x' }), 409, 'HEDDLE_VF_EXISTS'],
    [
      'a socket twice',
      () => client.addVf({ name: 'vm2', socket: '/s/1' }),
      409,
      'HEDDLE_CONFIG_DUPLICATE_SOCKET',
    ],
    ['a group that does not exist', () => client.group('x'), 404, 'HEDDLE_GROUP_NOT_FOUND'],
    ['its name for a VF', () => client.addGroup({ name: 'vm1' }), 409, 'HEDDLE_GROUP_EXISTS'],
    ['a VF in it', () => client.setVf('vm1', { group: 'x' }), 409, 'HEDDLE_GROUP_UNKNOWN'],
    [
      'a guarantee that cannot be kept',
      () => client.setVf('vm1', { txShare: '49Gbit' }),
      409,
      'HEDDLE_SHARES_EXCEEDED',
    ],
    ['another name', () => client.apply({ name: 'other' }), 409, 'HEDDLE_RESTART_NEEDED'],
  ])('%s', async (_, act, status, code) => {
    expect(await refusal(act())).toMatchObject({ status, code });
  });

  it('to remove a group that is not empty', async () => {
    await client.addGroup({ name: 'gold' });
    await client.addGroup({ name: 'web', parent: 'gold' });
    await client.setVf('vm1', { group: 'gold' });
    expect(await refusal(client.removeGroup('gold'))).toMatchObject({
      status: 409,
      code: 'HEDDLE_GROUP_NOT_EMPTY',
      message: 'Cannot remove group gold because it still has members: web, vm1',
    });
  });

  it.each([
    ['POST', '/v1/vfs', '{"name":', 400, 'HEDDLE_REQUEST_INVALID'],
    ['POST', '/v1/vfs', undefined, 400, 'HEDDLE_REQUEST_INVALID'],
    ['POST', '/v1/vfs', 'null', 400, 'HEDDLE_CONFIG_TYPE'],
    ['POST', '/v1/vfs', '{"name":"a","socket":"/a","colour":1}', 400, 'HEDDLE_CONFIG_UNKNOWN_KEY'],
    ['POST', '/v1/groups', '{"name":"a","txMax":"7kbit"}', 400, 'HEDDLE_CONFIG_VALUE'],
    ['PATCH', '/v1/groups/a', '{"colour":1}', 400, 'HEDDLE_CONFIG_UNKNOWN_KEY'],
    ['POST', '/v1/apply', ' '.repeat(2 ** 20 + 1), 400, 'HEDDLE_REQUEST_INVALID'],
    ['GET', '/v2/vfs', undefined, 404, 'HEDDLE_ROUTE_UNKNOWN'],
    ['PUT', '/v1/vfs', '{}', 404, 'HEDDLE_ROUTE_UNKNOWN'],
  ])('%s %s (case %#)', async (method, route, body, status, code) => {
    const answer = await raw(method, route, body);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({
      code,
      message: expect.stringMatching(/^[A-Z].+[^.]$/),
      hint: expect.any(String),
    });
  });

  it('what the system lacks resources for', async () => {
    nic.stats = () => {
      throw Object.assign(new Error('socket failed: EMFILE'), { code: 'EMFILE' });
    };
    expect(await refusal(client.stats())).toMatchObject({
      status: 503,
      code: 'HEDDLE_FILE_DESCRIPTORS',
    });
    expect(bugs).toEqual([]);
  });

  it('with 500 if the bug is ours, and reports it', async () => {
    nic.stats = () => {
      throw new TypeError('oops');
    };
    expect(await refusal(client.stats())).toMatchObject({ status: 500, code: 'HEDDLE_INTERNAL' });
    expect(bugs).toHaveLength(1);
  });
});
