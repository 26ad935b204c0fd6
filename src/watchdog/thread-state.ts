import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { arch } from 'node:process';
import { cpuSecondsIn, readStat } from '../os/proc-stat.ts';

/** What the kernel says about a thread. */
export interface ThreadState {
  /** Blocked in the kernel, not ready to run. */
  readonly isBlocked: boolean;
  /** How often it has left a CPU: an unchanged number means that it has not run meanwhile. */
  readonly switches: number;
  readonly cpuSeconds: number;
  /** The current system call, or −1. */
  readonly call: number;
  /** The kernel function that it sleeps in, if known. */
  readonly sleepsIn: string;
}

/** Waits for events, and for another thread of this process. */
const HARMLESS_CALLS: ReadonlySet<number> = new Set(
  arch === 'x64'
    ? [232, 281, 441, 202, 449] // epoll_wait, epoll_pwait, epoll_pwait2, futex, futex_waitv
    : [22, 441, 98, 449], // epoll_pwait, epoll_pwait2, futex, futex_waitv
);

/**
 * Kernel functions that wait for an RCU grace period, as io_destroy does and the close of a packet
 * socket. No peer can prolong it, but on a busy host it takes seconds.
 */
const GRACE_PERIOD = /rcu|sys_io_destroy|synchronize_net/;

/** Whether a blocked thread is in a wait that does not count as hanging. */
export function isHarmlessWait({ call, sleepsIn }: ThreadState): boolean {
  return HARMLESS_CALLS.has(call) || GRACE_PERIOD.test(sleepsIn);
}

/** Null if there is no such thread, or no /proc. */
export function readThreadState(thread: number): ThreadState | null {
  const directory = `/proc/self/task/${thread}`;
  const read = (file: string): string => readFileSync(`${directory}/${file}`, 'utf8');
  try {
    const stat = readStat(directory);
    const switches = [...read('status').matchAll(/ctxt_switches:\s*(\d+)/g)];
    const call = /^-?\d+/.exec(read('syscall'));
    return {
      isBlocked: stat(3) === 'S' || stat(3) === 'D',
      switches: switches.reduce((sum, [, count]) => sum + Number(count), 0),
      cpuSeconds: cpuSecondsIn(stat),
      call: call === null ? -1 : Number(call[0]),
      sleepsIn: read('wchan'),
    };
  } catch {
    return null;
  }
}

/** A word in the memory of this process; −1 if it is not mapped any more. */
export function readWord(address: bigint): number {
  if (address === 0n) return -1;
  const word = Buffer.alloc(4);
  try {
    const file = openSync('/proc/self/mem', 'r');
    try {
      return readSync(file, word, 0, 4, address) === 4 ? word.readInt32LE(0) : -1;
    } finally {
      closeSync(file);
    }
  } catch {
    return -1;
  }
}
