// What the harness needs from a switch under test.

import type { ControlClient } from '../../src/api/client.ts';

/** Whether a switch listens on its sockets or connects to them: most listen, OVS-DPDK connects. */
export type SocketRole = 'listens' | 'connects';

/** The core of the switch; the generator has the other one. */
export const switchCore = 0;
export const generatorCore = 1;

interface StartOptions {
  /** Of every port; default: one. */
  readonly queuePairs?: number;
  /** Guests will use offloads: a switch with an option for this enables it. */
  readonly hasOffloads?: boolean;
  /** Virtual machines run on the switch's core too, so the switch does not reserve it. */
  readonly sharesCore?: boolean;
}

export interface Peer {
  readonly name: string;
  readonly socketRole: SocketRole;
  /** The maximum number of ports; omitted: no relevant limit. */
  readonly portsMax?: number;
  /** Null if it can run here, otherwise the reason. */
  available(): string | null;
  version(): string;
  /** One port per socket; resolves when a generator may connect. */
  start(sockets: readonly string[], options?: StartOptions): Promise<void>;
  /** Also called after a failed start. Leaves nothing behind. */
  stop(): Promise<void>;
  /** The processes of the switch, to count their memory and wake-ups. */
  pids(): readonly number[];
  /** Adds a port while others are in use; omitted if the peer cannot. */
  addPort?(socket: string): Promise<void>;
  /** How a running Heddle is told what its VFs are promised; others have none. */
  control?(): ControlClient;
  /**
   * Limits what a port receives by dropping the rest, for peers that have no other limit. The size
   * is that of all frames.
   */
  police?(port: number, bitsPerSecond: number, frameBytes: number): Promise<void>;
  /** CPU time since its start, of all threads that move or manage frames. */
  cpuSeconds(): number;
  /** The end of its log, for error reports. */
  tail(): string;
}
