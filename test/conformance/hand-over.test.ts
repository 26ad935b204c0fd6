import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_ACCESS_PLATFORM } from '../../layout/virtio.ts';
import { onFailure } from '../../src/background.ts';
import { macBytes, plainFrame } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { DEFAULT_PROTOCOL_FEATURES } from '../../src/testing/handshake.ts';
import { MockGuest } from '../../src/testing/mock-guest.ts';
import { MockIommu } from '../../src/testing/mock-iommu.ts';
import { ProtocolFeature, viewOf } from '../../src/vhost-user/message.ts';
import { CONTROL_FEATURES, OK, setMac } from '../support/control-commands.ts';
import { checkSame, exchange } from '../support/exchange.ts';
import { type FarEnd, openDgramEnd } from '../support/far-end.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { RngGuest } from '../support/rng-guest.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// A NIC hands its whole state over to another one: its guests continue and notice nothing.

const FAR_MAC = '02:00:00:00:ff:01';

let before: number;
let lab: TestNic;
const open: { close(): void }[] = [];
const failures: string[] = [];
let stopListening: () => void;

// Some descriptors are opened once per process.
beforeAll(async () => (await TestNic.start()).close());

beforeEach(() => {
  before = openFdCount();
  failures.length = 0;
  stopListening = onFailure(({ what, error }) => failures.push(`${what}: ${error.message}`));
});

afterEach(async () => {
  for (const one of open.splice(0)) one.close();
  await lab.finish();
  stopListening();
  expect(failures).toEqual([]);
  // The last poller closes its own descriptors after it has woken up.
  await waitUntil(
    () => openFdCount() === before,
    () => ({ before, now: openFdCount() }),
  );
});

async function openUplink(): Promise<FarEnd> {
  const path = (name: string) => join(lab.directory, name);
  const far = openDgramEnd(path('far'), path('near'));
  open.push(far);
  const [socket, peer] = [path('near'), path('far')];
  await lab.nic.addUplink({ name: 'up', type: 'dgram', socket, peer });
  await waitUntil(
    () => lab.nic.uplink('up').state === 'up',
    () => lab.nic.uplinks(),
  );
  return far;
}

/** The NIC's report on itself, except for what changes during a hand-over. */
function told(): object {
  const { nic } = lab;
  const fdb = nic.fdb().map(({ ageSeconds: _, ...entry }) => entry);
  const rngs = nic.functions().map(({ counters: _, ...info }) => info);
  return { config: nic.config(), vfs: nic.vfs(), uplinks: nic.uplinks(), rngs, fdb };
}

describe.each([
  { layout: 'split', processors: 1 },
  { layout: 'packed', processors: 1 },
  { layout: 'split', processors: 2 },
  { layout: 'packed', processors: 2 },
])('a NIC with $layout rings and $processors processors', ({ layout, processors }) => {
  const packed = layout === 'packed';

  it('is continued by another one, with its guests, its uplink and everything it knows', async () => {
    lab = await TestNic.start({ vfs: 2, processors, rngs: 1 });
    const far = await openUplink();
    const guests = [await lab.connect(0, { packed }), await lab.connect(1, { packed })] as const;
    const rng = await RngGuest.connect(lab.rngSocket(0), { packed });
    open.push(rng);
    const passes = async (seed: number): Promise<void> => {
      await exchange(lab, [0, guests[0]], [1, guests[1]], { count: 300, seed });
      await exchange(lab, [1, guests[1]], [0, guests[0]], { count: 300, seed: seed + 1 });
      const back = plainFrame({ to: lab.mac(1), from: FAR_MAC }, 600, seed);
      expect(far.send(back)).toBe(true);
      checkSame([await guests[1].nextFrame()], [back]);
      // The switch knows this address now, so the frame is not flooded.
      const out = plainFrame({ to: FAR_MAC, from: lab.mac(0) }, 500, seed);
      const arrived = far.arrived(1);
      guests[0].send(out);
      await arrived;
      checkSame(far.frames.splice(0), [out]);
      expect(await rng.read(16)).toHaveLength(16);
    };
    await passes(1);
    await lab.nic.setVf('vf1', { gro: false });
    for (const isSameProcess of [true, false, false]) {
      const was = { told: told(), sent: lab.counter(0, 'tx.packets'), fds: openFdCount() };
      await lab.succeed({ isSameProcess });
      expect(told()).toEqual(was.told);
      expect(lab.counter(0, 'tx.packets')).toBe(was.sent);
      expect(openFdCount()).toBe(was.fds);
      await passes(was.sent);
    }
    // The same sessions: requests are answered, and a lost connection is detected.
    expect(await guests[0].frontEnd.ask('GET_FEATURES')).toHaveLength(8);
    await lab.disconnect(1, guests[1]);
    expect(lab.nic.vf('vf1').state).toBe('down');
    const next = await lab.connect(1, { packed });
    await exchange(lab, [0, guests[0]], [1, next], { count: 100 });
  });

  it('neither loses nor duplicates frames in flight', async () => {
    lab = await TestNic.start({ vfs: 2, processors });
    const [one, two] = [await lab.connect(0, { packed }), await lab.connect(1, { packed })];
    let isDone = false;
    const passes = async (from: number, sender: MockGuest, receiver: MockGuest): Promise<void> => {
      for (let seed = 1; !isDone; seed++) {
        await exchange(lab, [from, sender], [1 - from, receiver], { count: 500, seed });
      }
    };
    const traffic = Promise.all([passes(0, one, two), passes(1, two, one)]);
    for (let successions = 0; successions < 6; successions++) {
      const mark = lab.counter(1, 'rx.packets');
      await waitUntil(
        () => lab.counter(1, 'rx.packets') > mark + 200,
        () => lab.stats(1),
      );
      await lab.succeed();
    }
    isDone = true;
    await traffic;
    expect(lab.drops(0)).toEqual({});
    expect(lab.drops(1)).toEqual({});
  });
});

it('a link that is down stays down, and can come up again', async () => {
  lab = await TestNic.start({ vfs: 2 });
  const [sender, guest] = [await lab.connect(0), await lab.connect(1)];
  const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 100);
  const dropped = async (): Promise<number> => {
    sender.send(frame);
    await sender.waitTransmitted();
    return Object.values(lab.drops(0)).reduce((sum, count) => sum + count, 0);
  };
  await lab.nic.setVf('vf1', { linkState: 'disable' });
  expect(await dropped()).toBe(1);
  await lab.succeed();
  expect(lab.nic.vf('vf1')).toMatchObject({ link: 'down', linkState: 'disable' });
  expect(await dropped()).toBe(2);
  await lab.nic.setVf('vf1', { linkState: 'enable' });
  await exchange(lab, [0, sender], [1, guest], { count: 10 });
});

it('settings that a guest has made through its control queue stay', async () => {
  lab = await TestNic.start({ vfs: 2 });
  const features = [...MODERN_FEATURES, ...CONTROL_FEATURES];
  const [guest, sender] = [await lab.connect(0, { features }), await lab.connect(1)];
  const chosen = [2, 0xaa, 0xbb, 0, 0, 7];
  const shown = async (): Promise<number[]> => {
    const request = new Uint8Array(12 + 6);
    viewOf(request).setUint32(4, 6, true);
    return [...(await guest.frontEnd.ask('GET_CONFIG', request)).subarray(12)];
  };
  expect((await guest.command(setMac(chosen))).ack).toBe(OK);
  await lab.succeed();
  expect(await shown()).toEqual(chosen);
  const own = [...macBytes(lab.mac(0))];
  expect((await guest.command(setMac(own))).ack).toBe(OK);
  expect(await shown()).toEqual(own);
  await exchange(lab, [1, sender], [0, guest], { count: 10 });
});

it('an attempt that fails connects to no front-end', async () => {
  lab = await TestNic.start({ vfs: 2 });
  const socket = join(lab.directory, 'client.sock');
  await lab.nic.addVf({ name: 'vf2', socket, mode: 'client' });
  const succeeding = lab.succeed({ failsFirst: true });
  const frontEnd = createServer();
  open.push(frontEnd);
  const peers: Socket[] = [];
  frontEnd.on('connection', (peer) => peers.push(peer));
  frontEnd.listen(socket);
  await succeeding;
  await waitUntil(
    () => lab.nic.vf('vf2').state === 'connected' && peers.length > 0,
    () => lab.nic.vf('vf2'),
  );
  expect(peers).toHaveLength(1);
  for (const peer of peers) peer.destroy();
});

it('an attempt that fails does nothing that the next one does not know of', async () => {
  lab = await TestNic.start({ vfs: 2 });
  const features = [...MODERN_FEATURES, ...CONTROL_FEATURES];
  const [guest, sender] = [await lab.connect(0, { features }), await lab.connect(1)];
  const chosen = [2, 0xaa, 0xbb, 0, 0, 7];
  const succeeding = lab.succeed({ failsFirst: true });
  const commanding = guest.command(setMac(chosen));
  const asking = guest.frontEnd.ask('GET_FEATURES');
  await succeeding;
  expect((await commanding).ack).toBe(OK);
  expect(await asking).toHaveLength(8);
  const request = new Uint8Array(12 + 6);
  viewOf(request).setUint32(4, 6, true);
  const config = await guest.frontEnd.ask('GET_CONFIG', request);
  expect([...config.subarray(12)]).toEqual(chosen);
  const own = [...macBytes(lab.mac(0))];
  expect((await guest.command(setMac(own))).ack).toBe(OK);
  await exchange(lab, [1, sender], [0, guest], { count: 10 });
});

describe.each([{ packed: false }, { packed: true }])(
  'a guest behind an IOMMU, %o',
  ({ packed }) => {
    it('continues with the known translations, and is asked for others', async () => {
      lab = await TestNic.start({ vfs: 2 });
      const frontEnd = FrontEnd.connect(lab.socket(0));
      const guest = await MockGuest.negotiate(frontEnd, {
        packed,
        features: [...MODERN_FEATURES, VIRTIO_F_ACCESS_PLATFORM],
        protocolFeatures: [...DEFAULT_PROTOCOL_FEATURES, ProtocolFeature.BACKEND_REQ],
        memory: { iovaOffset: 0x7_0000_1000 },
      });
      const iommu = await MockIommu.attach(frontEnd, guest.queues.memory);
      open.push(iommu, guest);
      await guest.start();
      await iommu.until(() => lab.nic.vf('vf0').rings.length === 2);
      const other = await lab.connect(1, { packed });
      for (let round = 0; round < 3; round++) {
        // One at a time: the first frame finds its buffer untranslated and is lost.
        for (let sent = 0; sent < 50; sent++) {
          const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 300, sent);
          guest.send(frame);
          checkSame([await other.nextFrame()], [frame]);
        }
        await lab.succeed();
        expect(lab.nic.vf('vf0').state).toBe('ready');
      }
      guest.poll();
    });
  },
);
