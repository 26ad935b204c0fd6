import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { checkSame } from '../support/exchange.ts';
import {
  type FarEnd,
  openDgramEnd,
  openInterfaceEnd,
  StreamEnd,
  withLength,
} from '../support/far-end.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { expectIdle } from '../support/idle.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

const FAR_MAC = '02:00:00:00:ff:01';

let directory: string;
let lab: TestNic;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-trouble-'));
});

afterEach(async () => {
  await lab.close();
  rmSync(directory, { recursive: true, force: true });
});

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => lab.nic.uplinks());
}

describe('an uplink that cannot be created', () => {
  const refused: [what: string, config: UplinkConfigInput, code: string][] = [
    [
      'on a missing interface',
      { name: 'x', type: 'packet', interface: 'none' },
      'INTERFACE_MISSING',
    ],
    ['on a loopback instead of a TAP', { name: 'x', type: 'tap', interface: 'lo' }, 'NOT_A_TAP'],
    ['without passt', { name: 'x', type: 'passt', program: 'no-such-passt' }, 'PASST_MISSING'],
    ['with a passt that fails', { name: 'x', type: 'passt', program: 'false' }, 'PASST_FAILED'],
    ['without a VDE switch', { name: 'x', type: 'vde', socket: '/nowhere' }, 'UPLINK_VDE'],
    [
      'in a missing directory',
      { name: 'x', type: 'stream', socket: '/nowhere/x' },
      'DIRECTORY_MISSING',
    ],
    ['without a name', { name: '', type: 'null' }, 'CONFIG_VALUE'],
    ['with a key of another type', { name: 'x', type: 'null', interface: 'lo' }, 'UNKNOWN_KEY'],
    ['with the name of a VF', { name: 'vf0', type: 'null' }, 'UPLINK_EXISTS'],
  ];

  test.each(refused)(
    '%s is refused with its reason, and leaves nothing behind',
    async (_, config, code) => {
      lab = await TestNic.start();
      const before = openFdCount();
      await expect(lab.nic.addUplink(config)).rejects.toThrow(
        expect.objectContaining({ code: expect.stringContaining(code) }),
      );
      expect(lab.nic.uplinks()).toEqual([]);
      await until(() => openFdCount() <= before);
      await lab.nic.addUplink({ name: 'y', type: 'null' });
    },
  );

  test('at a path in use is refused, and the owner of the path continues', async () => {
    lab = await TestNic.start();
    const socket = join(directory, 'a.sock');
    await lab.nic.addUplink({ name: 'a', type: 'stream', socket });
    const adding = lab.nic.addUplink({ name: 'b', type: 'stream', socket });
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_CONFIG_DUPLICATE_SOCKET' });
    const foreign = join(directory, 'foreign.sock');
    const server = createServer().listen(foreign);
    await once(server, 'listening');
    const taken = lab.nic.addUplink({ name: 'b', type: 'stream', socket: foreign });
    await expect(taken).rejects.toMatchObject({ code: 'HEDDLE_SOCKET_IN_USE' });
    server.close();
    writeFileSync(join(directory, 'file'), '');
    const other = lab.nic.addUplink({ name: 'b', type: 'stream', socket: join(directory, 'file') });
    await expect(other).rejects.toMatchObject({ code: 'HEDDLE_SOCKET_NOT_A_SOCKET' });
    expect(lab.nic.uplinks().map(({ name }) => name)).toEqual(['a']);
  });

  test('on a TAP of another process is refused', async ({ skip }) => {
    lab = await TestNic.start();
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    await lab.nic.addUplink({ name: 'a', type: 'tap', interface: 'busy' });
    const adding = lab.nic.addUplink({ name: 'b', type: 'tap', interface: 'busy' });
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_INTERFACE_BUSY' });
  });
});

describe('an interface that changes under its uplink', () => {
  test('is reported when it is renamed, deleted and created again', async ({ skip }) => {
    lab = await TestNic.start();
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    const events: string[] = [];
    lab.nic.on('uplink-up', () => events.push('up'));
    lab.nic.on('uplink-down', ({ reason }) => events.push(`down: ${reason}`));
    ip('tuntap add mode tap name kept');
    ip('link set kept up');
    await lab.nic.addUplink({ name: 'up', type: 'tap', interface: 'kept' });
    ip('link set kept down');
    ip('link set kept name other');
    await until(() => lab.nic.uplinks()[0]?.state === 'down');
    ip('link set other name kept');
    ip('link set kept up');
    await until(() => lab.nic.uplinks()[0]?.state === 'up');
    ip('link delete kept');
    await until(() => events.at(-1)?.includes('gone') === true);
    expect(ip('link')).not.toContain('kept');
    ip('tuntap add mode tap name kept');
    ip('link set kept up');
    await until(() => lab.nic.uplinks()[0]?.state === 'up');
    await lab.nic.removeUplink('up');
    // It existed before the NIC, and stays.
    expect(ip('link')).toContain('kept');
    ip('link delete kept');
  });

  test('changes the MTU of its running uplink along with its own', async ({ skip }) => {
    lab = await TestNic.start();
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) ip(`link set ${name} mtu 9000 up`);
    ip('link set near mtu 1500');
    const isUpWith = (mtu: number) => {
      const [uplink] = lab.nic.uplinks();
      return uplink?.state === 'up' && uplink.capabilities?.mtu === mtu;
    };
    const reasons: (string | undefined)[] = [];
    lab.nic.on('uplink-down', ({ reason }) => reasons.push(reason));
    await lab.nic.addUplink({ name: 'up', type: 'packet', interface: 'near' });
    const guest = await lab.connect(0, { frameSizeMax: 9014 });
    const far = openInterfaceEnd('far');
    const larger = plainFrame({ to: BROADCAST, from: lab.mac(0) }, 9014, 1);
    await guest.sendAll([larger]);
    await until(() => lab.nic.stats().uplinks[0]?.wire.drops.tooLong === 1);
    ip('link set near mtu 9000');
    await until(() => isUpWith(9000));
    await guest.sendAll([larger]);
    await until(() => far.frames.length === 1);
    checkSame(far.frames, [larger]);
    ip('link set near mtu 1400');
    await until(() => isUpWith(1400));
    await guest.sendAll([plainFrame({ to: BROADCAST, from: lab.mac(0) }, 1419, 2)]);
    await until(() => lab.nic.stats().uplinks[0]?.wire.drops.tooLong === 2);
    expect(reasons).toEqual([9000, 1400].map((mtu) => `the MTU of the interface became ${mtu}`));
    far.close();
    ip('link delete near');
  });

  test('is deleted with the uplink if the NIC created it', async ({ skip }) => {
    lab = await TestNic.start();
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    await lab.nic.addUplink({ name: 'up', type: 'tap', interface: 'ours' });
    expect(ip('link')).toContain('ours');
    await lab.nic.removeUplink('up');
    expect(ip('link')).not.toContain('ours');
  });
});

describe('an uplink and the processors of its NIC', () => {
  let far: FarEnd;

  test('serves guests of both processors, and survives the death of its own', async () => {
    lab = await TestNic.start({ processors: 2, vfs: 3 });
    const guests = [await lab.connect(0), await lab.connect(1), await lab.connect(2)];
    const [socket, peer] = [join(directory, 'ours'), join(directory, 'peer')];
    far = openDgramEnd(peer, socket);
    await lab.nic.addUplink({ name: 'up', type: 'dgram', socket, peer });
    // The switch learns where the far end is, so that frames to it are not flooded.
    const learned = guests.map((guest) => guest.waitReceived(1));
    await until(() => far.send(plainFrame({ to: BROADCAST, from: FAR_MAC }, 60, 0)));
    await Promise.all(learned);
    for (const [number, guest] of guests.entries()) {
      const from = lab.mac(number);
      const frames = Array.from({ length: 200 }, (_, i) =>
        plainFrame({ to: FAR_MAC, from }, 99, i),
      );
      far.frames.length = 0;
      await guest.sendAll(frames);
      await until(() => far.frames.length === frames.length);
      checkSame(far.frames, frames);
      const arrived = guest.waitReceived(1);
      far.send(plainFrame({ to: from, from: FAR_MAC }, 300, 5));
      checkSame(await arrived, [plainFrame({ to: from, from: FAR_MAC }, 300, 5)]);
    }
    const { processor } = lab.nic.uplink('up');
    const victim = lab.nic.vfs().findIndex((vf) => vf.processor === processor);
    await lab.nic.injectTrap(`vf${victim}`, 1);
    await guests[victim]?.sendAll([plainFrame({ to: BROADCAST, from: lab.mac(victim) }, 60, 1)]);
    await until(() => (lab.nic.stats().processors[processor]?.restarts ?? 0) === 1);
    const survivor = (victim + 1) % guests.length;
    const frame = plainFrame({ to: FAR_MAC, from: lab.mac(survivor) }, 200, 9);
    far.frames.length = 0;
    await until(() => {
      guests[survivor]?.send(frame);
      return far.frames.length > 0;
    });
    checkSame(far.frames.slice(0, 1), [frame]);
    far.close();
  });

  test('continues in the middle of a stream when its processor is replaced', async () => {
    lab = await TestNic.start({ vfs: 3 });
    const guest = await lab.connect(0);
    const victims = [await lab.connect(1), await lab.connect(2)];
    const path = join(directory, 'stream');
    await lab.nic.addUplink({ name: 'up', type: 'stream', socket: path });
    const stream = new StreamEnd(path, 'server');
    await until(() => lab.nic.uplink('up').state === 'up');
    const die = async (restarts: number): Promise<void> => {
      await lab.nic.injectTrap(`vf${restarts}`, 1);
      const frame = plainFrame({ to: FAR_MAC, from: lab.mac(restarts) }, 60, restarts);
      await victims[restarts - 1]?.sendAll([frame]);
      await until(() => lab.nic.stats().processors[0]?.restarts === restarts);
    };
    // From the world: the processor dies after it has read one and a half frames.
    const inwards = [1, 2, 3].map((n) => plainFrame({ to: lab.mac(0), from: FAR_MAC }, 900, n));
    const bytes = Buffer.concat(inwards.map(withLength));
    const arrived = guest.waitReceived(1);
    stream.sendBytes(bytes.subarray(0, 1300));
    checkSame(await arrived, inwards.slice(0, 1));
    await die(1);
    const others = guest.waitReceived(2);
    stream.sendBytes(bytes.subarray(1300));
    checkSame(await others, inwards.slice(1));
    // To the world: the processor dies while the socket is full, very likely within a frame.
    stream.setReading(false);
    const outwards = Array.from({ length: 900 }, (_, n) =>
      plainFrame({ to: FAR_MAC, from: lab.mac(0) }, 1499, n),
    );
    await guest.sendAll(outwards);
    await until(() => (lab.nic.stats().uplinks[0]?.wire.blocked ?? 0) > 0);
    await guest.waitTransmitted();
    stream.frames.length = 0;
    await die(2);
    stream.setReading(true);
    await until(() => stream.frames.length >= outwards.length);
    checkSame(stream.frames, outwards);
    stream.close();
  });

  test('costs no processor time while nothing flows', async () => {
    lab = await TestNic.start({ vfs: 1 });
    await lab.nic.addUplink({ name: 'a', type: 'stream', socket: join(directory, 'idle') });
    if (namespaceMissing === undefined) {
      await lab.nic.addUplink({ name: 'b', type: 'tap', interface: 'idle' });
    }
    await expectIdle(lab.nic);
  });
});

test('these tests leave nothing behind', async () => {
  lab = await TestNic.start();
  expect(readdirSync(directory)).toEqual([]);
  if (namespaceMissing === undefined) {
    const names = execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' }).split('\n');
    expect(names.filter((line) => line !== '' && !line.startsWith('lo '))).toEqual([]);
  }
});
