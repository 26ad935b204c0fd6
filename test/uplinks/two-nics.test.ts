import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { findProgram } from '../../src/demo/guest/requirements.ts';
import { MSG_DONTWAIT } from '../../src/os/constants.ts';
import { c } from '../../src/os/libc.ts';
import { LinearMemory } from '../../src/os/linear-memory.ts';
import { Poller } from '../../src/os/poller.ts';
import { BROADCAST } from '../../src/testing/frames.ts';
import { InterfaceWatch } from '../../src/uplinks/interface-watch.ts';
import type { UplinkSource } from '../../src/uplinks/uplink.ts';
import { packet } from '../offload/packets.ts';
import { type FarEnd, openInterfaceEnd } from '../support/far-end.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { waitUntil } from '../support/wait-until.ts';

// NICs that share a network namespace and a file system but not a PID namespace, such as containers
// on the host's network. Their processes may have the same pid. Here each NIC is a separate copy of
// the modules in one process, so they have the same pid for certain.

const FAR_MAC = '02:00:00:00:ff:01';
const FLOWS = 64;
const ROOM = 4096;

let directory: string;
let poller: Poller;
const sources: UplinkSource[] = [];
const interfaces: string[] = [];
let far: FarEnd | undefined;
let vdeSwitch: ChildProcess | undefined;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-two-'));
  poller = new Poller();
});

afterEach(async () => {
  far?.close();
  far = undefined;
  for (const source of sources.splice(0)) await source.stop();
  for (const name of interfaces.splice(0)) ip(`link delete ${name}`);
  poller.close();
  vdeSwitch?.kill();
  vdeSwitch = undefined;
  rmSync(directory, { recursive: true, force: true });
});

/** Starts a source. Returns the descriptors of its wires once it is up. */
async function start(source: UplinkSource): Promise<number[]> {
  sources.push(source);
  const fds: number[] = [];
  const onUp = ({ settings }: { settings: readonly object[] }): void => {
    for (const wire of settings) if ('fd' in wire) fds.push(wire.fd as number);
  };
  const file = { fd: -1, pairs: 2, hasRingRoom: false };
  await source.start({ onUp, onDown: () => undefined }, file);
  return fds;
}

/** Opens an uplink as a process that has just started would. */
async function startPacket(name: string): Promise<number[]> {
  vi.resetModules();
  const { PacketSource } = await import('../../src/uplinks/packet.ts');
  return start(new PacketSource({ interface: name, queues: 2 }, new InterfaceWatch(poller)));
}

async function startVde(socket: string): Promise<number[]> {
  vi.resetModules();
  const { VdeSource } = await import('../../src/uplinks/vde.ts');
  return start(new VdeSource({ socket, mtu: 1500 }, poller));
}

function makeCable(name: string): void {
  ip(`link add ${name} type veth peer name far-${name}`);
  interfaces.push(name);
  for (const end of [name, `far-${name}`]) ip(`link set ${end} up`);
}

async function sendFlows(): Promise<void> {
  for (let i = 0; i < FLOWS; i++) {
    const shape = { to: BROADCAST, from: FAR_MAC, version: 4, transport: 'udp' } as const;
    const { frame, l4 } = packet({ ...shape, payloadLength: 100 });
    new DataView(frame.buffer, frame.byteOffset).setUint16(l4, 1000 + i);
    await waitUntil(
      () => far?.send(frame) === true,
      () => 'no room',
    );
  }
}

/** Counts the frames in a socket's queue: a veth delivers them before the send returns. */
function countFrames(fd: number): number {
  const memory = new LinearMemory(ROOM);
  let count = 0;
  while (c.recv(fd, memory.base, ROOM, MSG_DONTWAIT) > 0) count += 1;
  return count;
}

describe('two NICs in one network namespace, each with a fanout group', () => {
  test('have separate groups on two interfaces', async ({ skip }) => {
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    for (const name of ['near0', 'near1']) makeCable(name);
    const ours = await startPacket('near0');
    const others = await startPacket('near1');
    far = openInterfaceEnd('far-near0');
    await sendFlows();
    const counts = ours.map(countFrames);
    expect(counts).not.toContain(0);
    expect(counts).toHaveLength(2);
    expect((counts[0] ?? 0) + (counts[1] ?? 0)).toBe(FLOWS);
    expect(others.map(countFrames)).toEqual([0, 0]);
  });

  test('each receive all flows of a shared interface', async ({ skip }) => {
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    makeCable('near0');
    const nics = [await startPacket('near0'), await startPacket('near0')];
    far = openInterfaceEnd('far-near0');
    await sendFlows();
    for (const fds of nics) {
      expect(fds.map(countFrames).reduce((sum, count) => sum + count, 0)).toBe(FLOWS);
    }
  });
});

describe('several NICs at one VDE switch', () => {
  test('have separate sockets', async ({ skip }) => {
    const program = findProgram('vde_switch');
    if (program === undefined) return skip('vde_switch is not installed');
    const socket = join(directory, 'vde');
    vdeSwitch = spawn(program, ['-s', socket, '-x'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await waitUntil(
      () => existsSync(`${socket}/ctl`),
      () => 'no vde_switch',
    );
    // One more than there are directories for the socket.
    for (let i = 0; i < 3; i++) expect(await startVde(socket)).toHaveLength(1);
  });
});
