// A switch and its load, connected for the duration of a measurement.

import { join } from 'node:path';
import { Driver, type DriverOptions } from '../driver/client.ts';
import { Generator, type RingOptions } from '../generator.ts';
import { reserveHugePages } from '../huge-pages.ts';
import type { Peer } from '../peers/peer.ts';
import { makeTemporaryDirectory } from '../resources.ts';
import type { SuiteContext } from './suite.ts';

/** Whatever connects to the sockets of a switch. */
interface Load {
  stop(): Promise<void>;
  tail(): string;
}

/** Starts the switch on these sockets. */
type Begin = (sockets: readonly string[]) => Promise<void>;

/** testpmd as the load: it forwards between its ports. */
export function withGenerator<Result>(
  peer: Peer,
  portCount: number,
  rings: RingOptions,
  work: (generator: Generator) => Promise<Result>,
): Promise<Result> {
  const create = (sockets: readonly string[]) => new Generator(sockets, peer.socketRole, rings);
  const { queuePairs = 1 } = rings;
  const begin = (sockets: readonly string[]) => peer.start(sockets, { queuePairs });
  return withLoad(peer, portCount, begin, create, async (generator) => {
    await generator.connect();
    return await work(generator);
  });
}

/** A peer and its load, connected. */
export interface Pair {
  readonly peer: Peer;
  readonly generator: Generator;
}

/**
 * Connects every peer of the context to its own load, and calls `work` with all that could be
 * connected. All pairs are stopped (SIGSTOP), except the one in use by `awake`: so peers can take
 * turns second by second, faster than the load on the machine changes.
 */
export async function withGenerators(
  context: SuiteContext,
  what: string,
  rings: RingOptions,
  work: (pairs: readonly Pair[]) => Promise<void>,
  ready: readonly Pair[] = [],
): Promise<void> {
  const [peer, ...others] = context.peers;
  if (peer === undefined) return work(ready);
  const rest = { ...context, peers: others };
  let isConnected = false;
  await context.attempt(`${what}, ${peer.name}`, () =>
    withGenerator(peer, 2, rings, async (generator) => {
      isConnected = true;
      const pair = { peer, generator };
      signalPair(pair, 'SIGSTOP');
      try {
        await withGenerators(rest, what, rings, work, [...ready, pair]);
      } finally {
        signalPair(pair, 'SIGCONT');
      }
    }),
  );
  if (!isConnected) await withGenerators(rest, what, rings, work, ready);
}

/** Resumes a pair for a piece of work. */
export async function awake<Result>(pair: Pair, work: () => Promise<Result>): Promise<Result> {
  signalPair(pair, 'SIGCONT');
  try {
    return await work();
  } finally {
    signalPair(pair, 'SIGSTOP');
  }
}

function signalPair({ peer, generator }: Pair, signal: NodeJS.Signals): void {
  for (const pid of [...peer.pids(), ...generator.pids()]) process.kill(pid, signal);
}

interface DriverSession {
  /** Default: the peer starts without options. */
  readonly begin?: Begin;
  /** Ports send to others than their partners, so they cannot be introduced to these. */
  readonly greets?: boolean;
}

/**
 * The project's own driver as the load. Its ports are introduced to each other before the work; a
 * single port has no partner.
 */
export function withDriver<Result>(
  peer: Peer,
  portCount: number,
  options: DriverOptions,
  work: (driver: Driver, offered: bigint) => Promise<Result>,
  { begin = (sockets) => peer.start(sockets), greets = false }: DriverSession = {},
): Promise<Result> {
  const create = (sockets: readonly string[]) => new Driver(sockets, peer, options);
  return withLoad(peer, portCount, begin, create, async (driver) => {
    const { offered } = await driver.connect();
    if (greets) await driver.greet();
    else if (portCount > 1) await driver.introduce();
    return await work(driver, BigInt(offered));
  });
}

/** Starts both, runs the work, stops both. A failure shows the end of both logs. */
async function withLoad<Side extends Load, Result>(
  peer: Peer,
  portCount: number,
  begin: Begin,
  create: (sockets: readonly string[]) => Side,
  work: (load: Side) => Promise<Result>,
): Promise<Result> {
  const directory = makeTemporaryDirectory('ports');
  const sockets = Array.from({ length: portCount }, (_, port) =>
    join(directory.path, `${port}.sock`),
  );
  let load: Side | null = null;
  try {
    reserveHugePages();
    await begin(sockets);
    load = create(sockets);
    return await work(load);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const logs = [message, peer.tail(), load?.tail() ?? ''].filter(isNew).join('\n');
    throw new Error(`Cannot measure ${peer.name}: ${logs}`);
  } finally {
    // The load first: it shuts its devices down while the switch is still there.
    await load?.stop();
    await peer.stop();
    directory.remove();
  }
}

/** A child's own failure already ends with its log. */
function isNew(text: string, index: number, all: readonly string[]): boolean {
  return text !== '' && !all.slice(0, index).some((earlier) => earlier.includes(text));
}
