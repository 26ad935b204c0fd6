import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;
/** Each network namespace has its own switch, and a thread sees the one of its namespace. */
const IPV6_SWITCH = '/proc/sys/net/ipv6/conf/default/disable_ipv6';

/** Why a test cannot have its own network namespace, or undefined. */
export const namespaceMissing: string | undefined =
  process.getuid?.() === 0 ? undefined : 'network namespaces need root';

/**
 * Moves this thread, and everything that it opens and starts from now on, into a new network
 * namespace, which has only a loopback interface and ends with the process.
 */
export function enterNamespace(): void {
  const unshare = koffi.load('libc.so.6').func('int unshare(int flags)') as (
    flags: number,
  ) => number;
  if (unshare(CLONE_NEWNET) === -1) throw new Error('unshare failed: no rights');
  // IPv6 would send announcements on every interface that comes up, which no test expects.
  if (existsSync(IPV6_SWITCH)) writeFileSync(IPV6_SWITCH, '1');
  run('ip', 'link', 'set', 'lo', 'up');
}

/** Runs a program in the namespace; returns its output. */
function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8' });
}

/** Runs `ip` with the arguments in `line`. */
export function ip(line: string): string {
  return run('ip', ...line.split(' '));
}

/** Runs `tc` with the arguments in `line`. */
export function tc(line: string): string {
  return run('tc', ...line.split(' '));
}

interface LinkStats {
  stats64: { rx: { packets: number }; tx: { packets: number } };
}

/** The kernel's own counters of an interface (`ip -s link`). */
export function linkStats(name: string): LinkStats['stats64'] {
  const [link] = JSON.parse(ip(`-j -s link show ${name}`)) as LinkStats[];
  if (link === undefined) throw new Error(`no interface ${name}`);
  return link.stats64;
}
