// What the harness asks of a switch under test.

/** What a switch does with the sockets it is given: most listen, OVS-DPDK connects. */
export type SocketRole = 'listens' | 'connects';

/** The core of the switch; the generator has the other. */
export const switchCore = 0;
export const generatorCore = 1;

interface StartOptions {
  /** Of every port; one when left out. */
  readonly queuePairs?: number;
  /** Guests will leave segments to the switch: one that has a switch for this turns it on. */
  readonly hasOffloads?: boolean;
  /** Virtual machines run on the switch's core too, which it then does not keep for itself. */
  readonly sharesCore?: boolean;
}

export interface Peer {
  readonly name: string;
  readonly socketRole: SocketRole;
  /** The most ports it can have; no limit that matters here when left out. */
  readonly portsMax?: number;
  /** Null when it can run here, otherwise the reason why not. */
  available(): string | null;
  version(): string;
  /** One port per socket; resolves when a generator may connect. */
  start(sockets: readonly string[], options?: StartOptions): Promise<void>;
  /** Also after a start that failed. Leaves nothing behind. */
  stop(): Promise<void>;
  /** The processes that are the switch, by which their memory and wake-ups are counted. */
  pids(): readonly number[];
  /** Adds a port while others are in use; where a peer cannot, it has no such method. */
  addPort?(socket: string): Promise<void>;
  /** CPU time since its start, of all threads that move or manage frames. */
  cpuSeconds(): number;
  /** The end of its log, for the report of a failure. */
  tail(): string;
}
