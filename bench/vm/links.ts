// How two virtual machines can be connected: each gives QEMU's arguments for both network devices.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chardevRole, installedQemuVersion } from '../../src/api/qemu-version.ts';
import { Child } from '../child.ts';
import { findCommand } from '../commands.ts';
import { missingForNamespaces, NetworkNamespace } from '../namespace.ts';
import type { Peer } from '../peers/peer.ts';
import { makeTemporaryDirectory } from '../resources.ts';

/** One end of a link, for one machine. */
export interface LinkEnd {
  /** The value of `-netdev`, with the id `net`. */
  readonly netdev: string;
  readonly chardev?: string;
  /** More properties of the network device. */
  readonly device?: string;
}

export interface Link {
  readonly name: string;
  /** Whether it can carry incomplete checksums and super-frames, which saves the guests work. */
  readonly canOffload: boolean;
  /** Null if it can run here, otherwise the reason. */
  available(): string | null;
  /** Starts what is between the machines. */
  start(offloads: Offloads): Promise<readonly [LinkEnd, LinkEnd]>;
  /** Also called after a failed start. Leaves nothing behind. */
  stop(): Promise<void>;
  /** The command prefix that starts a machine in the namespace of its network device. */
  prefix(): readonly string[];
  /** The processes between the machines; a bridge of the kernel has none. */
  pids(): readonly number[];
}

/** Of both guests, of neither, or of the first one only. */
export type Offloads = 'all' | 'none' | 'mixed';

/** Every offload of the virtio device, in both directions. */
const withoutOffloads = [
  ...['csum', 'gso', 'guest_csum', 'guest_tso4', 'guest_tso6', 'guest_ecn', 'guest_ufo'],
  ...['host_tso4', 'host_tso6', 'host_ecn', 'host_ufo'],
]
  .map((name) => `${name}=off`)
  .join(',');

/** `index`: of the guest. */
function deviceOf(offloads: Offloads, index: number): Pick<LinkEnd, 'device'> {
  const isPlain = offloads === 'none' || (offloads === 'mixed' && index === 1);
  return isPlain ? { device: withoutOffloads } : {};
}

/** A switch that speaks vhost-user, as in the other suites. */
export function vhostUserLink(peer: Peer): Link {
  let remove = () => {};
  return {
    ...{ name: peer.name, canOffload: true },
    available: () => peer.available(),
    async start(offloads) {
      const directory = makeTemporaryDirectory('vm');
      remove = () => directory.remove();
      const sockets = [0, 1].map((port) => join(directory.path, `${port}.sock`));
      await peer.start(sockets, { hasOffloads: offloads !== 'none', sharesCore: true });
      const mode = peer.socketRole === 'connects' ? 'client' : 'server';
      const role = chardevRole(mode, installedQemuVersion());
      const end = (socket: string, index: number) => ({
        chardev: `socket,id=vf,path=${socket},${role}`,
        netdev: 'vhost-user,id=net,chardev=vf',
        ...deviceOf(offloads, index),
      });
      return [end(sockets[0]!, 0), end(sockets[1]!, 1)];
    },
    async stop() {
      await peer.stop();
      remove();
    },
    prefix: () => [],
    pids: () => peer.pids(),
  };
}

/** The kernel's bridge with two TAPs, in its own network namespace. */
export function bridgeLink(): Link {
  let namespace: NetworkNamespace | null = null;
  return {
    ...{ name: 'bridge-tap', canOffload: true },
    available: missingForTaps,
    async start(offloads) {
      namespace = new NetworkNamespace();
      namespace.ip('link add br0 type bridge');
      for (const name of ['tap0', 'tap1']) {
        namespace.ip(`tuntap add ${name} mode tap vnet_hdr`);
        namespace.ip(`link set ${name} master br0 up`);
      }
      namespace.ip('link set br0 up');
      const end = (name: string, index: number) => ({
        netdev: `tap,id=net,ifname=${name},script=no,downscript=no`,
        ...deviceOf(offloads, index),
      });
      return [end('tap0', 0), end('tap1', 1)];
    },
    async stop() {
      namespace?.remove();
      namespace = null;
    },
    prefix: () => namespace?.prefix ?? [],
    pids: () => [],
  };
}

export function missingForTaps(): string | null {
  if (!existsSync('/dev/net/tun')) return 'this machine has no /dev/net/tun';
  return missingForNamespaces();
}

/** QEMU to QEMU, connected by a socket. */
export function streamLink(): Link {
  let remove = () => {};
  return {
    ...{ name: 'qemu-stream', canOffload: false },
    available: () => null,
    async start() {
      const directory = makeTemporaryDirectory('vm');
      remove = () => directory.remove();
      const address = `addr.type=unix,addr.path=${join(directory.path, 'wire')}`;
      const end = (isServer: boolean) => ({
        netdev: `stream,id=net,server=${isServer ? 'on' : 'off'},${address}`,
      });
      return [end(true), end(false)];
    },
    async stop() {
      remove();
    },
    prefix: () => [],
    pids: () => [],
  };
}

export function vdeLink(): Link {
  const startSeconds = 5;
  let child: Child | null = null;
  let remove = () => {};
  return {
    ...{ name: 'vde-switch', canOffload: false },
    available: () =>
      findCommand('vde_switch') === null
        ? 'vde_switch is not installed (Debian package vde2)'
        : null,
    async start() {
      const directory = makeTemporaryDirectory('vm');
      remove = () => directory.remove();
      const place = join(directory.path, 'vde');
      child = new Child('vde_switch', 'vde_switch', ['--sock', place, '--nostdin']);
      const end = performance.now() + startSeconds * 1000;
      while (!existsSync(join(place, 'ctl'))) {
        if (child.hasEnded || performance.now() > end) throw child.failure('created no socket');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const netdev = { netdev: `vde,id=net,sock=${place}` };
      return [netdev, netdev];
    },
    async stop() {
      await child?.stop();
      child = null;
      remove();
    },
    prefix: () => [],
    pids: () => (child === null ? [] : [child.pid]),
  };
}
