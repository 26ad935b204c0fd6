// Heddle itself, started as a user does: `heddle up` with a configuration file.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ControlClient } from '../../src/api/client.ts';
import type { VfChangesInput } from '../../src/functions/net/config.ts';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { Child } from '../child.ts';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../resources.ts';
import { generatorCore, type Peer, switchCore } from './peer.ts';

// This file runs as build/bench/peers/heddle.js.
const ownCheckout = fileURLToPath(new URL('../../..', import.meta.url));
const readySeconds = 20;
/** At the start of a line: “already in use” also contains it. */
const readyLine = /^ready\b/m;

export const heddleName = 'heddle';
/** Another build, to compare with. */
export const beforeName = 'heddle-before';

export interface HeddlePeer extends Peer {
  /** Everything it has printed so far. */
  output(): string;
}

export interface HeddleOptions {
  readonly name?: string;
  /** The checkout whose build runs; this one if omitted. */
  readonly checkout?: string;
  /** Node's own options, for tracing. */
  readonly nodeArguments?: readonly string[];
  /** A command prefix, to run in a network namespace, for example. */
  readonly prefix?: readonly string[];
  readonly uplinks?: readonly UplinkConfigInput[];
  /** What each VF is promised. */
  readonly words?: VfChangesInput;
}

export function createHeddle(options: HeddleOptions = {}): HeddlePeer {
  const { nodeArguments = [], prefix = [], uplinks = [], words = {} } = options;
  const { name = heddleName, checkout = ownCheckout } = options;
  const cli = join(checkout, 'dist/src/cli/main.js');
  let child: Child | null = null;
  let directory: TemporaryDirectory | null = null;
  const control = () => {
    if (directory === null) throw new Error('heddle was not started');
    return new ControlClient(controlSocket(directory));
  };
  return {
    name,
    control,
    socketRole: 'listens',
    available: () => (existsSync(cli) ? null : `${cli} is not built`),
    version: () => `${packageVersion(checkout)}, Node ${process.versions.node}`,
    async start(sockets, { queuePairs = 1, sharesCore = uplinks.length > 0 } = {}) {
      directory = makeTemporaryDirectory('nic');
      const config = join(directory.path, 'nic.yaml');
      writeFileSync(config, configuration(sockets, { queuePairs, uplinks, sharesCore, words }));
      const socket = controlSocket(directory);
      const line = [cli, 'up', '--config', config, '--control', socket];
      const [command, ...args] = [...prefix, process.execPath, ...nodeArguments, ...line];
      child = new Child(name, command!, args, { cores: coresOf(sharesCore) });
      await child.waitFor(readyLine, 0, readySeconds);
    },
    async stop() {
      await child?.stop();
      directory?.remove();
      child = null;
      directory = null;
    },
    async addPort(socket) {
      const vf = `added${basename(socket, '.sock')}`;
      await control().addVf({ name: vf, socket, allowUnsealedMemory: true });
    },
    pids: () => (child === null ? [] : [child.pid]),
    cpuSeconds: () => child?.cpuSeconds() ?? 0,
    tail: () => child?.tail() ?? '',
    output: () => child?.output ?? '',
  };
}

function controlSocket(directory: TemporaryDirectory): string {
  return join(directory.path, 'control.sock');
}

/** As with Open vSwitch: the thread that moves frames has one core, all others share the other. */
function coresOf(sharesCore: boolean): string {
  return sharesCore ? String(switchCore) : `${switchCore},${generatorCore}`;
}

interface Configuration {
  readonly queuePairs: number;
  readonly uplinks: readonly UplinkConfigInput[];
  readonly sharesCore: boolean;
  readonly words: VfChangesInput;
}

/** JSON is also YAML. */
function configuration(sockets: readonly string[], wanted: Configuration): string {
  const { queuePairs, uplinks, sharesCore, words } = wanted;
  const vfs = sockets.map((socket, index) => ({
    name: `vm${index}`,
    socket,
    mode: 'server',
    queuePairs,
    // DPDK's virtio-user does not seal its memory; QEMU does.
    allowUnsealedMemory: true,
    ...words,
  }));
  const processorCpus = sharesCore ? [] : [switchCore];
  return JSON.stringify({ name: 'bench', processors: 1, processorCpus, vfs, uplinks }, null, 2);
}

function packageVersion(checkout: string): string {
  const text = readFileSync(join(checkout, 'package.json'), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const hasVersion = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  return hasVersion ? String(parsed.version) : 'unknown version';
}
