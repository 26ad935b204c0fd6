import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestNic } from '../../../test/support/test-nic.ts';
import { c } from '../../os/libc.ts';
import { createSocketPair, receiveMessage } from '../../os/unix-socket.ts';
import { BROADCAST, plainFrame } from '../../testing/frames.ts';
import { DEFAULT_PROTOCOL_FEATURES } from '../../testing/handshake.ts';
import type { MockGuest } from '../../testing/mock-guest.ts';
import { BackendRequest, ProtocolFeature, readHeader, viewOf } from '../../vhost-user/message.ts';

const CONFIG_SIZE = 12;

let lab: TestNic;
let guests: MockGuest[];
let events: string[];

beforeEach(async () => {
  lab = await TestNic.start({ vfs: 3 });
  guests = [];
  events = [];
  for (let number = 0; number < 3; number++) guests.push(await lab.connect(number));
  for (const event of ['link-up', 'link-down'] as const) {
    lab.nic.on(event, ({ vf }) => events.push(`${vf} ${event}`));
  }
});
afterEach(() => lab.close());

/** Sends one frame and returns who received it. */
async function reach(from: number, to: string): Promise<number[]> {
  const before = guests.map((_, number) => lab.counter(number, 'rx.packets'));
  const guest = guests[from] as MockGuest;
  await guest.sendAll([plainFrame({ to, from: lab.mac(from) }, 80)]);
  await guest.waitTransmitted();
  await lab.untilBalanced();
  return guests.flatMap((_, number) =>
    lab.counter(number, 'rx.packets') > (before[number] ?? 0) ? [number] : [],
  );
}

const links = () => lab.nic.vfs().map(({ link }) => link);

describe('a disabled link', () => {
  it('stops frames both ways, counts each, and passes them once it is enabled', async () => {
    expect(await reach(0, BROADCAST)).toEqual([1, 2]);
    expect(await lab.nic.setVf('vf1', { linkState: 'disable' })).toMatchObject({ link: 'down' });
    expect(await reach(0, BROADCAST)).toEqual([2]);
    expect(await reach(0, lab.mac(1))).toEqual([2]); // like an unknown address
    expect(lab.drops(0)).toEqual({});
    expect(await reach(1, BROADCAST)).toEqual([]);
    expect(await reach(1, lab.mac(0))).toEqual([]);
    expect(lab.drops(1)).toEqual({ 'tx.linkDown': 2 });
    expect(lab.nic.stats().vfs.map(({ link }) => link)).toEqual(['up', 'down', 'up']);
    await lab.nic.setVf('vf1', { linkState: 'enable' });
    expect(await reach(0, lab.mac(1))).toEqual([1]);
    expect(await reach(1, lab.mac(0))).toEqual([0]);
    expect(events).toEqual(['vf1 link-down', 'vf1 link-up']);
    expect(lab.nic.vf('vf1').state).toBe('ready');
  });

  it('stays down when its port changes VLANs, and when its processor is replaced', async () => {
    await lab.nic.setVf('vf1', { linkState: 'disable', vlan: { access: 10 } });
    await lab.nic.setVf('vf0', { vlan: { access: 10 } });
    expect(await reach(1, BROADCAST)).toEqual([]);
    expect(await reach(0, lab.mac(1))).toEqual([]);
    await lab.nic.setVf('vf1', { vlan: {} });
    await lab.nic.setVf('vf0', { vlan: {} });
    expect(await reach(1, BROADCAST)).toEqual([]);
    expect(lab.drops(1)).toEqual({ 'tx.linkDown': 2 });
    const fault = lab.next('fault', 2);
    await lab.nic.injectTrap('vf2', 1);
    (guests[2] as MockGuest).kick(1);
    await fault;
    await lab.nic.setVf('vf0', { allowUnsealedMemory: true });
    expect(await reach(0, lab.mac(1))).toEqual([2]);
    await lab.nic.setVf('vf1', { linkState: 'auto' });
    expect(await reach(0, lab.mac(1))).toEqual([1]);
  });

  it('is possible from the start', async () => {
    const socket = join(lab.directory, 'late.sock');
    const late = await lab.nic.addVf({ name: 'late', socket, linkState: 'disable' });
    expect(late).toMatchObject({ link: 'down', linkState: 'disable' });
    expect(events).toEqual([]);
  });
});

describe('the carrier', () => {
  async function status(number: number): Promise<number> {
    const request = new Uint8Array(12 + CONFIG_SIZE);
    viewOf(request).setUint32(4, CONFIG_SIZE, true);
    const reply = await (guests[number] as MockGuest).frontEnd.ask('GET_CONFIG', request);
    return viewOf(reply.slice(12)).getUint16(6, true);
  }

  it('is in the configuration space, and changes are reported to a VMM that asked', async () => {
    const protocolFeatures = [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ];
    await lab.disconnect(0, guests[0] as MockGuest);
    guests[0] = await lab.connect(0, { protocolFeatures });
    const [ours, theirs] = createSocketPair();
    await guests[0].frontEnd.send('SET_BACKEND_REQ_FD', new Uint8Array(0), [theirs]);
    c.close(theirs);
    const told = () => readHeader(receiveMessage(ours, 12).bytes).request;
    expect(await status(0)).toBe(1);
    await lab.nic.setVf('vf0', { linkState: 'disable' });
    expect(told()).toBe(BackendRequest.CONFIG_CHANGE_MSG);
    expect([await status(0), await status(1)]).toEqual([0, 1]);
    await lab.nic.setVf('vf0', { linkState: 'enable' });
    expect(told()).toBe(BackendRequest.CONFIG_CHANGE_MSG);
    expect(await status(0)).toBe(1);
    c.close(ours);
  });
});

describe('a link that follows the uplinks', () => {
  const peers: Socket[] = [];
  afterEach(() => {
    for (const peer of peers.splice(0)) peer.destroy();
  });

  const follow = () => lab.nic.setVf('vf0', { linkState: 'auto' });
  const next = (event: 'link-up' | 'link-down') => lab.next(event, 0);

  /** An uplink that is up while a peer is connected to it. */
  async function addUplink(name: string): Promise<string> {
    const socket = join(lab.directory, `${name}.sock`);
    await lab.nic.addUplink({ name, type: 'stream', socket });
    return socket;
  }

  async function plugIn(socket: string): Promise<Socket> {
    const peer = connect(socket);
    peers.push(peer);
    await once(peer, 'connect');
    return peer;
  }

  it('is up while there is no uplink', async () => {
    expect(await follow()).toMatchObject({ link: 'up' });
    const socket = await addUplink('wan');
    expect(links()).toEqual(['down', 'up', 'up']); // the others do not follow
    await lab.nic.removeUplink('wan');
    expect(links()).toEqual(['up', 'up', 'up']);
    expect(events).toEqual(['vf0 link-down', 'vf0 link-up']);
    expect(socket).not.toBe('');
  });

  it('goes down and up with the only uplink', async () => {
    await follow();
    const socket = await addUplink('wan');
    expect(await reach(1, lab.mac(0))).toEqual([2]);
    const isUp = next('link-up');
    const peer = await plugIn(socket);
    await isUp;
    expect(await reach(1, lab.mac(0))).toEqual([0]);
    const isDown = next('link-down');
    peer.destroy();
    await isDown;
    expect(await reach(0, lab.mac(1))).toEqual([]);
    expect([lab.drops(0), lab.drops(1)]).toEqual([{ 'tx.linkDown': 1 }, {}]);
  });

  it('is up while one of several uplinks is', async () => {
    await follow();
    const [first, second] = [await addUplink('first'), await addUplink('second')];
    const isUp = next('link-up');
    const peer = await plugIn(first);
    await isUp;
    const isSecondUp = new Promise((resolve) => lab.nic.on('uplink-up', resolve));
    await plugIn(second);
    await isSecondUp;
    const isFirstDown = new Promise((resolve) => lab.nic.on('uplink-down', resolve));
    peer.destroy();
    await isFirstDown;
    expect(links()).toEqual(['up', 'up', 'up']);
    const isDown = next('link-down');
    await lab.nic.removeUplink('second');
    await isDown;
    expect(events).toEqual(['vf0 link-down', 'vf0 link-up', 'vf0 link-down']);
  });
});
