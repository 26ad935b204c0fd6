// A switch and what sends to it, connected for as long as a piece of work takes.

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
 * Connects every peer of the context to a load of its own, and does the work with all those that
 * could be. All stand still (SIGSTOP) but the pair that `awake` is working with: so peers can take
 * turns second by second, while a machine's moods last longer than that.
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

/** Wakes a pair for a piece of work. */
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

/**
 * The project's own driver as the load. Its ports know each other when the work begins; one port
 * alone has nobody to know.
 */
export function withDriver<Result>(
  peer: Peer,
  portCount: number,
  options: DriverOptions,
  work: (driver: Driver, offered: bigint) => Promise<Result>,
  begin: Begin = (sockets) => peer.start(sockets),
): Promise<Result> {
  const create = (sockets: readonly string[]) => new Driver(sockets, peer, options);
  return withLoad(peer, portCount, begin, create, async (driver) => {
    const { offered } = await driver.connect();
    if (portCount > 1) await driver.introduce();
    return await work(driver, BigInt(offered));
  });
}

/** Starts both, does the work, stops both. A failure shows the end of both logs. */
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
    // The load first: it takes its devices down while there is still someone to tell.
    await load?.stop();
    await peer.stop();
    directory.remove();
  }
}

/** A child's own failure already ends with its log. */
function isNew(text: string, index: number, all: readonly string[]): boolean {
  return text !== '' && !all.slice(0, index).some((earlier) => earlier.includes(text));
}
