// What the harness asks of a switch under test.

/** What a switch does with the sockets it is given: most listen, OVS-DPDK connects. */
export type SocketRole = 'listens' | 'connects';

/** The core of the switch; the generator has the other. */
export const switchCore = 0;

export interface Peer {
  readonly name: string;
  readonly socketRole: SocketRole;
  /** Null when it can run here, otherwise the reason why not. */
  available(): string | null;
  version(): string;
  /** One port per socket; resolves when a generator may connect. */
  start(sockets: readonly string[]): Promise<void>;
  /** Also after a start that failed. Leaves nothing behind. */
  stop(): Promise<void>;
  /** CPU time since its start, of all threads that move or manage frames. */
  cpuSeconds(): number;
  /** The end of its log, for the report of a failure. */
  tail(): string;
}
