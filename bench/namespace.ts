// Network namespaces of our own: what is made in one goes with it.

import { findCommand, run } from './commands.ts';
import { releaseAtExit } from './resources.ts';

interface LinkCounters {
  rx: { bytes: number };
  tx: { packets: number };
}

let count = 0;

/** Null, or why there can be none here. */
export function missingForNamespaces(): string | null {
  if (process.getuid?.() !== 0) return 'only root may make a network namespace';
  return findCommand('ip') === null ? 'ip is not installed (Debian package iproute2)' : null;
}

export class NetworkNamespace {
  readonly name: string;
  readonly #forget: () => void;

  constructor() {
    count += 1;
    this.name = `hb-${process.pid}-${count}`;
    run('ip', ['netns', 'add', this.name]);
    this.#forget = releaseAtExit(() => this.#erase());
    // IPv6 would announce itself on every interface: frames that nobody measures.
    const setting = 'net/ipv6/conf/default/disable_ipv6';
    const script = `[ ! -e /proc/sys/${setting} ] || echo 1 > /proc/sys/${setting}`;
    run('ip', ['netns', 'exec', this.name, 'sh', '-c', script]);
  }

  /** Runs `ip` with the words of one line, in the namespace. */
  ip(line: string): string {
    return run('ip', ['-n', this.name, ...line.split(' ')]);
  }

  /** What a command must begin with to run in it. */
  get prefix(): readonly string[] {
    return [findCommand('ip') ?? 'ip', 'netns', 'exec', this.name];
  }

  /** What an interface of it has received so far. */
  receivedBytes(name: string): number {
    return this.#counters(name).rx.bytes;
  }

  /** Frames that an interface of it has sent so far. */
  sentPackets(name: string): number {
    return this.#counters(name).tx.packets;
  }

  remove(): void {
    this.#erase();
    this.#forget();
  }

  #counters(name: string): LinkCounters {
    const [link] = JSON.parse(this.ip(`-j -s link show ${name}`)) as { stats64: LinkCounters }[];
    if (link === undefined) throw new Error(`no interface ${name}`);
    return link.stats64;
  }

  #erase(): void {
    run('ip', ['netns', 'delete', this.name]);
  }
}
