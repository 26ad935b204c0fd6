// A Linux guest under QEMU on any kind of network: the demo's guest with another network device.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { CommandChannel } from '../../src/demo/guest/command-channel.ts';
import { ConsoleLog } from '../../src/demo/guest/console-log.ts';
import type { Kernel } from '../../src/demo/guest/kernel.ts';
import { commandFd, consoleFd, qemuArguments } from '../../src/demo/guest/qemu-arguments.ts';
import { releaseAtExit } from '../resources.ts';
import type { LinkEnd } from './links.ts';

const bootSeconds = 60;
const answerSeconds = 10;

export interface MachinePlan {
  readonly name: string;
  readonly mac: string;
  readonly address: string;
  readonly kernel: Kernel;
  readonly image: string;
  readonly end: LinkEnd;
  readonly prefix: readonly string[];
}

export class Machine {
  readonly name: string;
  readonly #qemu: ChildProcess;
  readonly #channel: CommandChannel;
  readonly #console = new ConsoleLog();
  readonly #forget: () => void;
  #hasEnded = false;

  constructor(plan: MachinePlan) {
    this.name = plan.name;
    const qemu = ['qemu-system-x86_64', ...argumentsOf(plan)];
    const command = ['--pdeathsig', 'KILL', '--', ...plan.prefix, ...qemu];
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const;
    this.#qemu = spawn('setpriv', command, { stdio: [...stdio] });
    this.#channel = new CommandChannel(this.#qemu.stdio[commandFd] as Duplex);
    this.#console.listen(this.#qemu.stdio[consoleFd] as Duplex);
    this.#console.listen(this.#qemu.stderr);
    this.#qemu.once('close', () => {
      this.#hasEnded = true;
      this.#channel.abandon(this.#failure('QEMU ended'));
    });
    this.#forget = releaseAtExit(() => this.#qemu.kill('SIGKILL'));
  }

  get pid(): number {
    const { pid } = this.#qemu;
    if (pid === undefined) throw this.#failure('QEMU did not start');
    return pid;
  }

  async booted(): Promise<void> {
    const ready = once(this.#channel, 'ready');
    const ended = once(this.#qemu, 'close').then(() => {
      throw this.#failure('QEMU ended');
    });
    await this.#within(bootSeconds, 'boot', Promise.race([ready, ended]));
    ended.catch(() => {});
  }

  /** Runs a shell script in the guest and returns its output. Rejects unless the exit code is 0. */
  async run(script: string, timeoutSeconds = 60): Promise<string> {
    const answer = this.#channel.send(script, timeoutSeconds);
    const patience = timeoutSeconds + answerSeconds;
    const { exitCode, output } = await this.#within(patience, 'answer', answer);
    if (exitCode === 0) return output;
    throw new Error(`${this.name}: "${script}" ended with exit code ${exitCode}:\n${output}`);
  }

  async stop(): Promise<void> {
    if (!this.#hasEnded) {
      const closed = once(this.#qemu, 'close');
      this.#qemu.kill('SIGKILL');
      await closed;
    }
    this.#forget();
  }

  async #within<Result>(seconds: number, what: string, work: Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const expiry = new Promise<never>((_, reject) => {
      const expire = () => reject(this.#failure(`no ${what} within ${seconds} s`));
      timer = setTimeout(expire, seconds * 1000);
    });
    try {
      return await Promise.race([work, expiry]);
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(what: string): Error {
    return new Error(`${this.name}: ${what}. The end of its console:\n${this.#console.tail()}`);
  }
}

/** The demo's machine up to its network device, and then ours. */
function argumentsOf({ name, mac, address, kernel, image, end }: MachinePlan): string[] {
  const all = qemuArguments({ name, mac, address, socket: '' }, kernel, image);
  const nic = all.findIndex((word) => word.startsWith('socket,id=vf,')) - 1;
  if (nic < 0) throw new Error('the demo’s QEMU arguments have changed: they have no NIC');
  // None has MSI-X, because QEMU 7.2 without KVM does not support it with vhost-user.
  const device = ['virtio-net-pci,netdev=net,romfile=,vectors=0', `mac=${mac}`];
  if (end.device !== undefined) device.push(end.device);
  return [
    ...all.slice(0, nic),
    ...(end.chardev === undefined ? [] : ['-chardev', end.chardev]),
    ...['-netdev', end.netdev, '-device', device.join(',')],
  ];
}
