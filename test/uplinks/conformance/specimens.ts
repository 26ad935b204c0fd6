// What the conformance suite needs for each kind of uplink: its configuration, its far end, and how
// to lose its link and bring it back.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { findProgram } from '../../../src/demo/guest/requirements.ts';
import type { UplinkConfigInput } from '../../../src/uplinks/config.ts';
import { readJournal, writeFakePasst } from '../../support/fake-passt.ts';
import {
  type FarEnd,
  openDgramEnd,
  openInterfaceEnd,
  StreamEnd,
  VdeEnd,
} from '../../support/far-end.ts';
import { ip, linkStats } from '../../support/namespace.ts';
import { TraceEnd } from '../../support/trace-end.ts';
import { xdpMissing } from '../../support/xdp.ts';

export interface Specimen {
  readonly type: string;
  readonly config: UplinkConfigInput;
  readonly mtu: number;
  /** Why it cannot run on this machine, or undefined. */
  readonly missing?: string | undefined;
  /** Cases that do not apply to it, each with the reason. */
  readonly skips?: Readonly<Record<string, string>>;
  /** It does not come up before its far end exists. */
  readonly needsFarEndFirst?: boolean;
  /** It cannot be handed over: another NIC opens it anew. */
  readonly isOpenedAnew?: boolean;
  prepare?(): void;
  /** Opens the other end of the wire, once the uplink exists. */
  openFarEnd(): FarEnd | Promise<FarEnd>;
  /** Frames in flight: as many as the other side can queue. */
  readonly chunk?: number;
  loseLink?(): void;
  returnLink?(): void;
  cleanUp?(): void;
  /** Frames that the kernel has counted in each direction. */
  kernelCounters?(): { toWorld: number; toNic: number };
}

/** With an `mtu` above 4096, frames to the world are sent from the guest's memory. */
export function tapSpecimen(missing: string | undefined, queues: number, mtu: number): Specimen {
  const name = `tap${queues}`;
  return {
    type: `tap with ${queues} ${queues > 1 ? 'queues' : 'queue'}, MTU ${mtu}`,
    config: { name: 'up', type: 'tap', interface: name, queues, mtu },
    mtu,
    missing,
    skips: { backPressure: 'a TAP drops where the host is slow: its queue is the kernel’s' },
    openFarEnd: () => openInterfaceEnd(name),
    loseLink: () => void ip(`link set ${name} down`),
    returnLink: () => void ip(`link set ${name} up`),
    kernelCounters: () => {
      const { rx, tx } = linkStats(name);
      return { toWorld: rx.packets, toNic: tx.packets };
    },
  };
}

export function packetSpecimen(missing: string | undefined): Specimen {
  return {
    ...vethSpecimen(missing),
    type: 'packet',
    config: { name: 'up', type: 'packet', interface: 'near' },
    skips: { backPressure: 'a packet socket drops where the interface is slow' },
  };
}

/** With an `mtu` above 3822, frames take several chunks. */
export function xdpSpecimen(missing: string | undefined, queues: number, mtu: number): Specimen {
  return {
    ...vethSpecimen(missing ?? xdpMissing(), { queues, mtu }),
    type: `xdp with ${queues} ${queues > 1 ? 'queues' : 'queue'}, MTU ${mtu}`,
    config: { name: 'up', type: 'xdp', interface: 'near', queues },
    mtu,
    isOpenedAnew: true,
    skips: { backPressure: 'a veth takes all at once, and drops where its peer is slow' },
  };
}

/** A pair of interfaces: the NIC uses one of them, and the far end the other. */
function vethSpecimen(missing: string | undefined, { queues = 1, mtu = 1500 } = {}) {
  const places = queues > 1 ? `numtxqueues ${queues} numrxqueues ${queues} ` : '';
  return {
    mtu,
    missing,
    prepare: () => {
      ip(`link add near ${places}mtu ${mtu} type veth peer name far ${places}mtu ${mtu}`);
      ip('link set near up');
      ip('link set far up');
    },
    openFarEnd: () => openInterfaceEnd('far'),
    loseLink: () => void ip('link set far down'),
    returnLink: () => void ip('link set far up'),
    cleanUp: () => void ip('link del near'),
    kernelCounters: () => {
      const { rx, tx } = linkStats('near');
      return { toWorld: tx.packets, toNic: rx.packets };
    },
  };
}

/** The socket is in `directory`, which the test makes. */
export function streamSpecimen(directory: string, mode: 'server' | 'client'): Specimen {
  const socket = `${directory}/stream.sock`;
  let end: StreamEnd | null = null;
  return {
    type: `stream, ${mode}`,
    config: { name: 'up', type: 'stream', socket, mode },
    mtu: 1500,
    needsFarEndFirst: true,
    openFarEnd: () => {
      end = new StreamEnd(socket, mode);
      return end;
    },
    loseLink: () => end?.disconnect(),
    returnLink: () => end?.connect(),
  };
}

export function dgramSpecimen(directory: string, isConnected: boolean): Specimen {
  const [socket, peer] = [`${directory}/ours.sock`, `${directory}/peer.sock`];
  return {
    type: isConnected ? 'dgram, its peer connected' : 'dgram',
    config: { name: 'up', type: 'dgram', socket, peer },
    mtu: 1500,
    needsFarEndFirst: true,
    openFarEnd: () => openDgramEnd(peer, socket, { isConnected }),
  };
}

export function vdeSpecimen(directory: string): Specimen {
  const socket = `${directory}/vde`;
  let child: ChildProcess | null = null;
  const startSwitch = (): void => {
    rmSync(socket, { recursive: true, force: true });
    // -x: a hub, so that no frame depends on learned addresses.
    child = spawn('vde_switch', ['-s', socket, '-x'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const end = Date.now() + 5000;
    while (!existsSync(`${socket}/ctl`)) if (Date.now() > end) throw new Error('no vde_switch');
  };
  return {
    type: 'vde',
    config: { name: 'up', type: 'vde', socket },
    mtu: 1500,
    missing: findProgram('vde_switch') === undefined ? 'vde_switch is not installed' : undefined,
    chunk: 8,
    skips: {
      backPressure: 'a VDE switch drops where a port is slow',
      bursts: 'a VDE switch drops where a port is slow',
    },
    prepare: startSwitch,
    openFarEnd: () => VdeEnd.open(socket),
    loseLink: () => void child?.kill('SIGKILL'),
    returnLink: startSwitch,
    cleanUp: () => {
      child?.kill('SIGKILL');
      rmSync(socket, { recursive: true, force: true });
    },
  };
}

/** These have no far end: the frames sent are read from the uplink's trace. */
export function internalSpecimen(directory: string, type: 'loopback' | 'null'): Specimen {
  const trace = `${directory}/${type}.pcapng`;
  return {
    type,
    config: { name: 'up', type, trace },
    mtu: 1500,
    skips: {
      fromWorld: `nothing comes from a ${type} but what was sent to it`,
      backPressure: `a ${type} has no peer that could be slow`,
    },
    openFarEnd: () => new TraceEnd(trace),
    cleanUp: () => rmSync(trace, { force: true }),
  };
}

/** passt is replaced by a program that relays the stream, so that all of it can be checked. */
export function passtSpecimen(directory: string): Specimen {
  const [program, relay, journal] = ['passt', 'relay.sock', 'journal'].map(
    (name) => `${directory}/${name}`,
  ) as [string, string, string];
  return {
    type: 'passt (another program in its place)',
    config: { name: 'up', type: 'passt', program },
    mtu: 1500,
    skips: { backPressure: 'the program in its place holds more than the ring: see stream' },
    prepare: () => writeFakePasst(program, { relay, journal, version: 'passt 0.0' }),
    openFarEnd: () => new StreamEnd(relay, 'client'),
    loseLink: () => {
      const last = readJournal(journal).at(-1);
      if (last !== undefined) process.kill(last.pid, 'SIGKILL');
    },
    // Heddle restarts the program.
    returnLink: () => undefined,
    cleanUp: () => {
      for (const file of [program, `${program}.mjs`, relay, journal]) rmSync(file, { force: true });
    },
  };
}
