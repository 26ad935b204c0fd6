// A User-Mode Linux on a VF: a real Linux at native speed, without KVM. Its root is the file system
// of this machine, so all programs of the machine are available.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { umlArguments } from '../../src/api/attach.ts';
import { ConsoleLog } from '../../src/demo/guest/console-log.ts';
import { findProgram } from '../../src/demo/guest/requirements.ts';
import type { VfInfo } from '../../src/functions/net/types.ts';

const KERNEL = 'linux.uml';
const NEEDED = [KERNEL, 'setpriv', 'busybox', 'iperf3', 'ip', 'insmod'];

/** What is missing to run such guests here; empty if nothing is. */
export function missingForUml(): string[] {
  const missing = NEEDED.filter((name) => findProgram(name) === undefined);
  return existsSync('/usr/lib/uml/modules') ? missing : [...missing, '/usr/lib/uml/modules'];
}

const prologue = (address: string): string => `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
modules=/usr/lib/uml/modules/$(uname -r)/kernel
insmod $modules/net/core/failover.ko
insmod $modules/drivers/net/net_failover.ko
insmod $modules/drivers/net/virtio_net.ko
ip link set lo up
ip address add ${address}/24 dev eth0
ip link set eth0 up
`;

export class UmlGuest {
  readonly console = new ConsoleLog();
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  #printed = '';
  readonly #looks = new Set<() => void>();
  #hasExited = false;

  /** Runs `script` once the network is up. `printed` sees its output. */
  constructor(vf: VfInfo, directory: string, address: string, script: string) {
    const init = join(directory, `${vf.name}.sh`);
    // The kernel panics when its first program ends.
    writeFileSync(init, `${prologue(address)}${script}\nbusybox sleep 3600\n`, { mode: 0o700 });
    const words = [
      ...umlArguments(vf, { memory: '128M' }).filter((word) => !word.startsWith('init=')),
      ...[`init=${init}`, 'con=null', 'con0=null,fd:1', `uml_dir=${directory}/`, `umid=${vf.name}`],
    ];
    // It cannot outlive this process, even if this process is killed.
    const bound = ['--pdeathsig', 'KILL', findProgram(KERNEL) ?? KERNEL, ...words];
    this.#child = spawn('setpriv', bound, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.console.listen(this.#child.stdout);
    this.console.listen(this.#child.stderr);
    this.#child.stdout?.on('data', (text: string) => {
      this.#printed += text;
      this.#look();
    });
    this.#exit = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#hasExited = true;
        this.#look();
        resolve();
      });
    });
  }

  /** Resolves with the first match in the guest's whole output; rejects when the guest ends. */
  printed(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = this.#printed.match(pattern);
        if (match === null && !this.#hasExited) return;
        this.#looks.delete(look);
        if (match !== null) resolve(match);
        else reject(new Error(`The guest ended without ${pattern}:\n${this.console.tail()}`));
      };
      this.#looks.add(look);
      look();
    });
  }

  /** The guest ignores SIGTERM and has child processes, so its whole process group is killed. */
  async close(): Promise<void> {
    const { pid } = this.#child;
    if (!this.#hasExited && pid !== undefined) process.kill(-pid, 'SIGKILL');
    await this.#exit;
  }

  #look(): void {
    for (const look of [...this.#looks]) look();
  }
}
