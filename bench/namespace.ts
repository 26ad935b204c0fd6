// Network namespaces of our own: whatever is created in one is removed with it.

import { findCommand, run } from './commands.ts';
import { releaseAtExit } from './resources.ts';

interface LinkCounters {
  rx: { bytes: number };
  tx: { packets: number };
}

let count = 0;

/** Null, or why this process cannot create one. */
export function missingForNamespaces(): string | null {
  if (process.getuid?.() !== 0) return 'only root can create a network namespace';
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
    // IPv6 would send announcements on every interface, which would disturb the counts.
    const setting = 'net/ipv6/conf/default/disable_ipv6';
    const script = `[ ! -e /proc/sys/${setting} ] || echo 1 > /proc/sys/${setting}`;
    run('ip', ['netns', 'exec', this.name, 'sh', '-c', script]);
  }

  /** Runs `ip` in the namespace, with the arguments in `line`. */
  ip(line: string): string {
    return run('ip', ['-n', this.name, ...line.split(' ')]);
  }

  /** The prefix of a command that is to run in the namespace. */
  get prefix(): readonly string[] {
    return [findCommand('ip') ?? 'ip', 'netns', 'exec', this.name];
  }

  /** Bytes that an interface of the namespace has received. */
  receivedBytes(name: string): number {
    return this.#counters(name).rx.bytes;
  }

  /** Frames that an interface of the namespace has sent. */
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
