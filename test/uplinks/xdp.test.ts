import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { c } from '../../src/os/libc.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { bringUp, findNetDevice } from '../../src/os/net-device.ts';
import { XdpProgram } from '../../src/os/xdp-program.ts';
import {
  mapXdpRing,
  XDP_HEADROOM,
  XDP_RING_FILE_OFFSETS,
  XdpSocket,
} from '../../src/os/xdp-socket.ts';
import { BROADCAST, ethernetFrame, plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { PAIR_SIZE } from '../../src/wires/port-memory.ts';
import { freeChunks, XDP_CHUNK_SIZE, XDP_RING_SIZE } from '../../src/wires/xdp-wire.ts';
import { onesSum, pseudoSum } from '../offload/internet-checksum.ts';
import { checkSame } from '../support/exchange.ts';
import { type FarEnd, openInterfaceEnd } from '../support/far-end.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { expectIdle } from '../support/idle.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';
import { xdpMissing } from '../support/xdp.ts';

// What is specific to AF_XDP: the program on the interface, however its owner ends; queues; memory
// shared with the kernel.

/** Frames in flight: as many as a guest has buffers for. */
const CHUNK = 100;
const FAR_MAC = '02:00:00:00:ff:01';
const CLI = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
const missing = namespaceMissing ?? xdpMissing();

let lab: TestNic;
let far: FarEnd | undefined;

beforeAll(() => {
  if (missing === undefined) enterNamespace();
});

beforeEach(async ({ skip }) => {
  if (missing !== undefined) return skip(missing);
  makePair();
  lab = await TestNic.start({ vfs: 2 });
});

afterEach(async () => {
  if (missing !== undefined) return;
  far?.close();
  far = undefined;
  await lab.close();
  if (hasInterface('near')) ip('link del near');
});

function makePair(options = ''): void {
  ip(`link add near ${options}type veth peer name far`);
  for (const name of ['near', 'far']) ip(`link set ${name} up`);
}

function hasInterface(name: string): boolean {
  return ip('-br link').includes(`${name}@`);
}

function hasProgram(): boolean {
  return ip('link show near').includes('xdp');
}

function isPromiscuous(): boolean {
  return ip('-d link show near').includes('promiscuity 1');
}

function until(isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => lab.nic.uplinks());
}

const fast = { name: 'fast', type: 'xdp', interface: 'near' } as const;

async function exchange(guest: MockGuest, count: number): Promise<void> {
  const end = far ?? openInterfaceEnd('far');
  far = end;
  const out = Array.from({ length: count }, (_, i) =>
    plainFrame({ to: BROADCAST, from: lab.mac(0) }, 60 + (i % 1400), i),
  );
  end.frames.length = 0;
  await guest.sendAll(out);
  await until(() => end.frames.length >= count);
  checkSame(end.frames, out);
  const back = out.map((_, i) => plainFrame({ to: lab.mac(0), from: FAR_MAC }, 60 + (i % 1400), i));
  for (let first = 0; first < count; first += CHUNK) {
    const chunk = back.slice(first, first + CHUNK);
    const arrived = guest.waitReceived(chunk.length);
    for (const frame of chunk) await until(() => end.send(frame));
    checkSame(await arrived, chunk);
  }
}

describe('the program on the interface', () => {
  test('is attached and detached with the uplink, and leaves nothing open', async () => {
    expect(hasProgram()).toBe(false);
    await lab.nic.addUplink(fast);
    expect(hasProgram()).toBe(true);
    expect(isPromiscuous()).toBe(true);
    expect(lab.nic.uplink('fast').capabilities).toMatchObject({
      mtu: 1500,
      checksum: false,
      segmentation: 'none',
      mode: 'native, copy',
    });
    await lab.nic.removeUplink('fast');
    expect(hasProgram()).toBe(false);
    expect(isPromiscuous()).toBe(false);
    const before = openFdCount();
    for (let i = 0; i < 5; i++) {
      await lab.nic.addUplink(fast);
      await lab.nic.removeUplink('fast');
    }
    await until(() => openFdCount() <= before);
  });

  test('is detached when its process is killed, and the next process can start', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'heddle-xdp-'));
    const config = join(directory, 'nic.json');
    const socket = join(directory, 'vf.sock');
    writeFileSync(
      config,
      JSON.stringify({ name: 'killed', vfs: [{ name: 'a', socket }], uplinks: [fast] }),
    );
    try {
      for (let round = 0; round < 2; round++) {
        const child = startNic(config, join(directory, 'control'));
        await saysReady(child);
        expect(hasProgram()).toBe(true);
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
        await until(() => !hasProgram() && !isPromiscuous());
      }
      await lab.nic.addUplink(fast);
      await exchange(await lab.connect(0), 20);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('is attached in generic mode if the driver has no native one', async () => {
    ip('link add name plain type bridge');
    ip('link set plain up');
    const program = XdpProgram.load();
    expect(program.attach(indexOf('plain'))).toBe('generic');
    program.close();
    ip('link del plain');
  });
});

describe('the mode that an operator requests', () => {
  const modeOf = () => lab.nic.uplink('fast').capabilities?.mode;

  test('may be generic with copies, and frames pass', async () => {
    await lab.nic.addUplink({ ...fast, attach: 'generic', zeroCopy: 'never' });
    expect(modeOf()).toBe('generic, copy');
    await exchange(await lab.connect(0), 50);
    await lab.nic.setUplink('fast', { attach: 'native' });
    expect(modeOf()).toBe('native, copy');
  });

  test('is refused if it is zero-copy and the driver lacks it, and leaves nothing behind', async () => {
    const before = openFdCount();
    await expect(lab.nic.addUplink({ ...fast, zeroCopy: 'required' })).rejects.toMatchObject({
      code: 'HEDDLE_UPLINK_XDP_MODE',
      message: expect.stringMatching(/on near with .*zeroCopy: required/),
    });
    expect(hasProgram()).toBe(false);
    await until(() => openFdCount() <= before);
  });

  test('is refused if it is native and the driver lacks it', async () => {
    ip('link add name plain type bridge');
    ip('link set plain up');
    const adding = lab.nic.addUplink({ ...fast, interface: 'plain', attach: 'native' });
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_XDP_MODE' });
    ip('link del plain');
  });
});

test('frames for which the kernel had no chunk are counted', async () => {
  // An uplink that holds all frames for long leaves the kernel no chunks.
  await lab.nic.addUplink({ ...fast, faults: { delayMilliseconds: 10_000 } });
  const kernel = () => lab.nic.stats().uplinks[0]?.kernel;
  expect(kernel()?.drops).toEqual({
    receiveDropped: 0,
    receiveInvalid: 0,
    receiveRingFull: 0,
    transmitInvalid: 0,
  });
  far = openInterfaceEnd('far');
  const end = far;
  for (let i = 0; i < 2000; i++) {
    await until(() => end.send(plainFrame({ to: lab.mac(0), from: FAR_MAC }, 60, i)));
  }
  await until(() => (kernel()?.drops.receiveDropped ?? 0) > 0);
  expect(kernel()?.fillRingEmpty).toBeGreaterThan(0);
  expect(kernel()?.drops).toMatchObject({ receiveInvalid: 0, transmitInvalid: 0 });
});

function indexOf(name: string): number {
  return Number(ip(`-o link show ${name}`).split(':')[0]);
}

function startNic(config: string, control: string): ChildProcess {
  if (!existsSync(CLI)) throw new Error('dist/ is not built');
  return spawn(process.execPath, [CLI, 'up', '--config', config, '--control', control], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function saysReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (/^ready\b/m.test(text)) resolve();
    });
    child.once('exit', () => reject(new Error('the NIC ended')));
  });
}

describe('an invalid AF_XDP uplink', () => {
  test('with more queues than the interface has is refused', async () => {
    const adding = lab.nic.addUplink({ ...fast, queues: 2 });
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_XDP_QUEUES' });
    expect(hasProgram()).toBe(false);
  });

  test('on an interface with another program is refused, and that program stays', async () => {
    const other = XdpProgram.load();
    other.attach(indexOf('near'));
    const before = openFdCount();
    const adding = lab.nic.addUplink(fast);
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_XDP_BUSY' });
    expect(hasProgram()).toBe(true);
    await until(() => openFdCount() <= before);
    other.close();
    await lab.nic.addUplink(fast);
  });

  test('on a missing interface is refused', async () => {
    const adding = lab.nic.addUplink({ ...fast, interface: 'none' });
    await expect(adding).rejects.toMatchObject({ code: 'HEDDLE_UPLINK_INTERFACE_MISSING' });
  });
});

describe('an interface that changes under its AF_XDP uplink', () => {
  test('is reported when it is renamed, deleted and created again', async () => {
    const guest = await lab.connect(0);
    await lab.nic.addUplink(fast);
    const state = () => lab.nic.uplinks()[0]?.state;
    await exchange(guest, 50);
    ip('link set near down');
    await until(() => state() === 'down');
    ip('link set near name other');
    ip('link set other up');
    ip('link set other down');
    ip('link set other name near');
    ip('link set near up');
    await until(() => state() === 'up');
    await exchange(guest, 50);
    far?.close();
    far = undefined;
    ip('link del near');
    await until(() => state() === 'down');
    expect(lab.nic.uplinks()[0]?.reason).toContain('gone');
    makePair();
    await until(() => state() === 'up');
    await exchange(guest, 50);
  });

  test('takes frames of several chunks once its MTU requires them', async () => {
    const guest = await lab.connect(0);
    await lab.nic.addUplink(fast);
    for (const name of ['far', 'near']) bringUp(name, 9000);
    await until(() => {
      const [uplink] = lab.nic.uplinks();
      return uplink?.state === 'up' && uplink.capabilities?.mtu === 9000;
    });
    await exchange(guest, 20);
  });
});

test('a replacement processor continues with the sockets as they are', async () => {
  const guest = await lab.connect(0);
  const victim = await lab.connect(1);
  await lab.nic.addUplink(fast);
  await exchange(guest, 1000);
  await lab.nic.injectTrap('vf1', 1);
  await victim.sendAll([plainFrame({ to: BROADCAST, from: lab.mac(1) }, 60, 1)]);
  await until(() => lab.nic.stats().processors[0]?.restarts === 1);
  // More frames than there are chunks: none was lost.
  await exchange(guest, 1000);
});

test('a frame whose sender left its checksum to the hardware arrives with it completed', async () => {
  const guest = await lab.connect(0);
  await lab.nic.addUplink(fast);
  ip('addr add 10.0.0.2/24 dev far');
  ip(`neigh add 10.0.0.1 lladdr ${lab.mac(0)} dev far nud permanent`);
  const socket = createSocket('udp4');
  const isUdp = (frame: Uint8Array) => frame[12] === 8 && frame[13] === 0 && frame[23] === 17;
  let frame: Uint8Array | undefined;
  const arrived = guest.waitReceived(1);
  socket.send('left to the hardware', 99, '10.0.0.1');
  for (const one of await arrived) if (isUdp(one)) frame = one;
  while (frame === undefined) frame = (await guest.waitReceived(1)).find(isUdp);
  socket.close();
  const [header, segment] = [frame.subarray(14, 34), frame.subarray(34)];
  expect(onesSum([pseudoSum(header, 17, segment.length), segment])).toBe(0xffff);
});

test('injected faults cost no chunks: those of lost or delayed frames are reclaimed', async () => {
  const guest = await lab.connect(0);
  const faults = { drop: 0.1, delayMilliseconds: 1, reorder: 0.1 };
  await lab.nic.addUplink({ ...fast, faults });
  far = openInterfaceEnd('far');
  const end = far;
  const wire = () => lab.nic.stats().uplinks[0]?.wire;
  const heard = () => lab.stats(0).rx.offered; // its ring may be full
  const count = 2000; // more than twice the chunks
  for (let sent = 0; sent < count; sent += CHUNK) {
    const before = heard();
    for (let i = 0; i < CHUNK; i++) {
      const frame = plainFrame({ to: lab.mac(0), from: FAR_MAC }, 100, sent + i);
      await until(() => end.send(frame));
    }
    // Frames dropped after they arrived and frames swapped are all counted as injected.
    await until(() => heard() > before);
  }
  await until(() => (wire()?.received ?? 0) > count * 0.8);
  expect(wire()?.received).toBeLessThan(count);
  const outwards = Array.from({ length: count }, (_, i) =>
    plainFrame({ to: BROADCAST, from: lab.mac(0) }, 100, i),
  );
  await guest.sendAll(outwards);
  await until(() => end.frames.length > count * 0.8);
});

test('VLAN tags stay in the frame, in both directions', async () => {
  const guest = await lab.connect(0);
  await lab.nic.addUplink(fast);
  far = openInterfaceEnd('far');
  const end = far;
  const tag = Uint8Array.of(0x20, 0x0a, 0x08, 0x00); // priority 1, VLAN 10, then IPv4
  const tagged = (to: string, from: string) => {
    const payload = new Uint8Array(100).fill(7);
    payload.set(tag);
    return ethernetFrame({ to, from }, 0x8100, payload);
  };
  const inwards = tagged(lab.mac(0), FAR_MAC);
  const arrived = guest.waitReceived(1);
  await until(() => end.send(inwards));
  checkSame(await arrived, [inwards]);
  // The far end is a packet socket, for which the kernel moves the tag out of the frame.
  await guest.sendAll([tagged(BROADCAST, lab.mac(0))]);
  await until(() => end.frames.length === 1);
  const untagged = new Uint8Array(110).fill(7, 14);
  untagged.set(tagged(BROADCAST, lab.mac(0)).subarray(0, 12));
  untagged.set([0x08, 0x00], 12);
  const wire = () => lab.nic.stats().uplinks[0]?.wire;
  await until(() => wire()?.sent === 1);
  expect(wire()?.sentBytes).toBe(114);
  expect(end.frames[0]?.subarray(0, 14)).toEqual(untagged.subarray(0, 14));
});

test('costs no processor time while nothing flows', async () => {
  await lab.nic.addUplink(fast);
  await exchange(await lab.connect(0), 10);
  await expectIdle(lab.nic);
});

// igb reads the fill ring when the socket is bound, and never again if it was empty.
test('a socket has chunks for frames that arrive before its wire is attached', async () => {
  const sizeBytes = PAIR_SIZE;
  const memoryFd = createMemoryFile('heddle-test', sizeBytes);
  const chunks = freeChunks(memoryFd, 0);
  const program = XdpProgram.load();
  const socket = XdpSocket.open({
    ...{ interface: 'near', queue: 0, memoryFd, memoryOffset: 0, memorySize: sizeBytes },
    ...{ chunkSize: XDP_CHUNK_SIZE, ringSize: XDP_RING_SIZE, freeChunks: chunks },
    ...{ wantsFragments: false, zeroCopy: 'auto' },
  });
  const ring = new LinearMemory(65536);
  const { entries, producer } = socket.offsets.receive;
  const words = new Uint32Array(ring.buffer);
  try {
    program.insert(socket);
    program.attach(findNetDevice('near')?.index ?? 0, 'auto');
    const ringSize = entries + XDP_RING_SIZE * 16;
    mapXdpRing(ring.base, ringSize, socket.fd, XDP_RING_FILE_OFFSETS.receive);
    far = openInterfaceEnd('far');
    for (const i of [1, 2, 3]) far.send(plainFrame({ to: BROADCAST, from: FAR_MAC }, 100, i));
    await until(() => words[producer / 4] === 3);
    const addresses = [0, 1, 2].map((i) => (words[entries / 4 + i * 4] ?? 0) - XDP_HEADROOM);
    expect(chunks).toEqual(expect.arrayContaining(addresses));
  } finally {
    program.close();
    socket.close();
    ring.unmap(0, ring.sizeBytes);
    c.close(memoryFd);
  }
});
