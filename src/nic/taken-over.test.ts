import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { TestNic } from '../../test/support/test-nic.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { EPOLL_CTL_ADD } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import { descriptorsIn } from '../state/saved.ts';
import { FrontEnd } from '../testing/front-end.ts';
import type { NicState } from './types.ts';

// What a restored NIC has taken over belongs to it, even if the kernel refuses to poll some of it.

let before: number;
let lab: TestNic;

// Some descriptors are opened once per process.
beforeAll(async () => (await TestNic.start()).close());

beforeEach(async () => {
  before = openFdCount();
  lab = await TestNic.start({ vfs: 1 });
  await lab.nic.addUplink({ name: 'up', type: 'stream', socket: streamSocket() });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await lab.finish();
  await waitUntil(
    () => openFdCount() === before,
    () => ({ before, now: openFdCount() }),
  );
});

function streamSocket(): string {
  return join(lab.directory, 'stream.sock');
}

/** As if there were no more watches left, for these calls of each of these descriptors. */
function refuseToAdd(fds: readonly (number | undefined)[], isRefused: (call: number) => boolean) {
  const { epollControl } = c;
  const calls = new Map(fds.map((fd) => [fd, 0]));
  vi.spyOn(c, 'epollControl').mockImplementation((epoll, operation, fd, event) => {
    const call = calls.get(fd);
    if (operation !== EPOLL_CTL_ADD || call === undefined) {
      return epollControl(epoll, operation, fd, event);
    }
    calls.set(fd, call + 1);
    return isRefused(call) ? c.close(-1) : epollControl(epoll, operation, fd, event);
  });
}

function listenersIn({ vfs, uplinks }: NicState): number[] {
  return descriptorsIn([
    ...vfs.map(({ attachment }) => attachment.endpoint),
    ...uplinks.map(({ source }) => source),
  ]);
}

describe.each([1, 2])('listening sockets that cannot be polled, %i times', (refusals) => {
  beforeEach(async () => {
    await lab.succeed({
      meanwhile: (state) => refuseToAdd(listenersIn(state), (call) => call < refusals),
    });
  });

  it('are removed with their function and uplink, and can be added again', async () => {
    const { vfs, uplinks } = lab.nic.config();
    await lab.nic.removeVf('vf0');
    await lab.nic.removeUplink('up');
    expect(existsSync(lab.socket(0))).toBe(false);
    expect(existsSync(streamSocket())).toBe(false);
    for (const vf of vfs) await lab.nic.addVf(vf);
    for (const uplink of uplinks) await lab.nic.addUplink(uplink);
    await lab.connect(0);
  });

  it('belong to the next NIC, too', async () => {
    const listeners = listenersIn(lab.nic.save());
    expect(listeners).toHaveLength(2);
    await lab.succeed();
    await lab.connect(0);
  });

  it('accept their peers a while later', async () => {
    await lab.connect(0);
    const peer = connect(streamSocket());
    await waitUntil(
      () => lab.nic.uplink('up').state === 'up',
      () => lab.nic.uplinks(),
    );
    peer.destroy();
  });
});

it('a connection that could be polled before its NIC continues can be polled then', async () => {
  const guest = await lab.connect(0);
  await lab.succeed({
    meanwhile: ({ vfs }) =>
      refuseToAdd([vfs[0]?.attachment.dialogue?.connection.fd], (call) => call > 0),
  });
  expect(lab.nic.vf('vf0')).toMatchObject({ state: 'ready' });
  await lab.disconnect(0, guest);
});

it('a connection that cannot be polled is closed, and its VF says so', async () => {
  const guest = await lab.connect(0);
  await lab.succeed({
    meanwhile: ({ vfs }) => refuseToAdd([vfs[0]?.attachment.dialogue?.connection.fd], () => true),
  });
  expect(lab.nic.vf('vf0')).toMatchObject({
    state: 'down',
    lastFault: 'it cannot be restored: epoll_ctl failed: EBADF',
  });
  await guest.frontEnd.closed;
  guest.close();
  vi.restoreAllMocks();
  const next = FrontEnd.connect(lab.socket(0));
  expect(await next.ask('GET_FEATURES')).toHaveLength(8);
  next.close();
});
