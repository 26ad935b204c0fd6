// Open vSwitch with its DPDK data path: one polling thread, one bridge, the NORMAL action.
//
// It has its own database and control sockets in a temporary directory and never touches an
// Open vSwitch that the machine may run.

import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Child } from '../child.ts';
import { commandVersion, findCommand, run, runBeside } from '../commands.ts';
import { dpdkEnvironment } from '../dpdk.ts';
import { makeTemporaryDirectory, type TemporaryDirectory } from '../resources.ts';
import { type Peer, switchCore } from './peer.ts';

/** Debian's build with DPDK is not on the PATH. */
const vswitchdPath = '/usr/lib/openvswitch-switch-dpdk';
const vswitchdName = 'ovs-vswitchd-dpdk';
const schema = '/usr/share/openvswitch/vswitch.ovsschema';
/** Each port reconfigures the polling thread. */
const bridgeSeconds = 60;

const bridge = 'bench';

const ethernetHeaderBytes = 14;
const policerBurstMin = 65_536;
const policerBurstSeconds = 0.01;

export function createOvsDpdk(): Peer {
  let running: OvsDpdk | null = null;
  return {
    name: 'ovs-dpdk',
    socketRole: 'connects',
    available() {
      if (process.getuid?.() !== 0) return 'only root can give it its own network namespace';
      const hint = 'is not installed (Debian package openvswitch-switch-dpdk)';
      const commands = ['ovsdb-tool', 'ovsdb-server', 'ovs-vsctl', 'ovs-ofctl'];
      const missing = commands.find((name) => findCommand(name) === null);
      if (missing !== undefined) return `${missing} ${hint}`;
      return findVswitchd() === null ? `${vswitchdName} ${hint}` : null;
    },
    version: () => commandVersion(findVswitchd() ?? vswitchdName, ['--version']),
    async start(sockets, { hasOffloads = false } = {}) {
      running = new OvsDpdk();
      await running.start(sockets, hasOffloads);
    },
    async stop() {
      await running?.stop();
      running = null;
    },
    async addPort(socket) {
      await running?.addPort(socket);
    },
    async police(port, bitsPerSecond, frameBytes) {
      await running?.police(port, bitsPerSecond, frameBytes);
    },
    pids: () => (running?.vswitchd ? [running.vswitchd.pid] : []),
    cpuSeconds: () => running?.vswitchd?.cpuSeconds() ?? 0,
    tail: () => running?.vswitchd?.tail() ?? '',
  };
}

class OvsDpdk {
  vswitchd: Child | null = null;
  #database: Child | null = null;
  readonly #directory: TemporaryDirectory = makeTemporaryDirectory('ovs');

  async start(sockets: readonly string[], hasOffloads: boolean): Promise<void> {
    const file = join(this.#directory.path, 'conf.db');
    run('ovsdb-tool', ['create', file, schema]);
    this.#database = this.#spawn('ovsdb-server', findCommand('ovsdb-server') ?? 'ovsdb-server', [
      file,
      `--remote=p${this.#databaseAddress()}`,
      ...this.#daemonOptions('ovsdb'),
    ]);
    await this.#configure(['--no-wait', 'init']);
    await this.#configure(['--no-wait', 'set', 'Open_vSwitch', '.', ...dpdkSettings(hasOffloads)]);
    // A bridge leaves TAPs behind even when its switch is killed. They vanish with its own network
    // namespace; the vhost-user sockets are files and not affected.
    this.vswitchd = this.#spawn('ovs-vswitchd', 'unshare', [
      ...['--net', '--', findVswitchd() ?? vswitchdName],
      this.#databaseAddress(),
      ...this.#daemonOptions('vswitchd'),
    ]);
    await this.vswitchd.waitFor(/DPDK Enabled - initialized/, 0, bridgeSeconds);
    await this.#addBridge(sockets);
  }

  async addPort(socket: string): Promise<void> {
    await this.#configure(this.#portCommand(socket));
  }

  /** Its policer counts frames without their Ethernet headers: the rate is translated. */
  async police(port: number, bitsPerSecond: number, frameBytes: number): Promise<void> {
    const bytesPerSecond = bitsPerSecond / 8;
    const counted = (bytesPerSecond * (frameBytes - ethernetHeaderBytes)) / frameBytes;
    const burst = Math.max(policerBurstMin, bytesPerSecond * policerBurstSeconds);
    const settings = [`cir=${Math.round(counted)}`, `cbs=${Math.round(burst)}`];
    await this.#configure([
      ...['set', 'port', `vm${port}`, 'qos=@limit', '--', '--id=@limit'],
      ...['create', 'qos', 'type=egress-policer'],
      ...settings.map((setting) => `other-config:${setting}`),
    ]);
  }

  async stop(): Promise<void> {
    await this.vswitchd?.stop();
    await this.#database?.stop();
    this.#directory.remove();
  }

  async #addBridge(sockets: readonly string[]): Promise<void> {
    const ports = sockets.flatMap((path) => ['--', ...this.#portCommand(path)]);
    const create = ['add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev'];
    await this.#configure([...create, ...ports]);
    const control = join(this.#directory.path, `${bridge}.mgmt`);
    await runBeside('ovs-ofctl', ['del-flows', control], this.#environment());
    await runBeside('ovs-ofctl', ['add-flow', control, 'actions=NORMAL'], this.#environment());
  }

  #portCommand(socket: string): string[] {
    const name = `vm${basename(socket, '.sock')}`;
    return [
      ...['add-port', bridge, name],
      ...['--', 'set', 'Interface', name, 'type=dpdkvhostuserclient'],
      `options:vhost-server-path=${socket}`,
    ];
  }

  /** Without --no-wait, returns once vswitchd has applied the database. */
  async #configure(args: readonly string[]): Promise<void> {
    const connection = [`--db=${this.#databaseAddress()}`, '--retry', `--timeout=${bridgeSeconds}`];
    try {
      await runBeside('ovs-vsctl', [...connection, ...args], this.#environment());
    } catch (error) {
      const log = (this.vswitchd ?? this.#database)?.tail() ?? '';
      throw new Error(`ovs-vsctl failed: ${String(error)}\n${log}`);
    }
  }

  #databaseAddress(): string {
    return `unix:${join(this.#directory.path, 'db.sock')}`;
  }

  #spawn(name: string, command: string, args: readonly string[]): Child {
    return new Child(name, command, args, { env: this.#environment() });
  }

  #daemonOptions(name: string): string[] {
    const control = `--unixctl=${join(this.#directory.path, `${name}.ctl`)}`;
    return [control, '-vconsole:info', '-vsyslog:off'];
  }

  #environment(): NodeJS.ProcessEnv {
    const path = this.#directory.path;
    return { OVS_RUNDIR: path, OVS_LOGDIR: path, OVS_DBDIR: path, ...dpdkEnvironment(path) };
  }
}

/** The polling thread has the switch's core to itself; all other threads use the generator's. */
function dpdkSettings(hasOffloads: boolean): string[] {
  return [
    'other_config:dpdk-init=true',
    'other_config:dpdk-extra="--no-pci"',
    'other_config:dpdk-socket-mem="512"',
    'other_config:dpdk-lcore-mask=0x2',
    `other_config:userspace-tso-enable=${hasOffloads}`,
    `other_config:pmd-cpu-mask=0x${(1 << switchCore).toString(16)}`,
  ];
}

function findVswitchd(): string | null {
  const path = join(vswitchdPath, vswitchdName);
  return existsSync(path) ? path : findCommand(vswitchdName);
}
