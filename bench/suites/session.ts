// A switch and a generator, connected for as long as a piece of work takes.

import { join } from 'node:path';
import { Generator } from '../generator.ts';
import { reserveHugePages } from '../huge-pages.ts';
import type { Peer } from '../peers/peer.ts';
import { makeTemporaryDirectory } from '../resources.ts';

/** Starts both, does the work, stops both. A failure shows the end of both logs. */
export async function withConnectedPorts<Result>(
  peer: Peer,
  portCount: number,
  work: (generator: Generator) => Promise<Result>,
): Promise<Result> {
  const directory = makeTemporaryDirectory('ports');
  const sockets = Array.from({ length: portCount }, (_, port) =>
    join(directory.path, `${port}.sock`),
  );
  let generator: Generator | null = null;
  try {
    reserveHugePages();
    await peer.start(sockets);
    generator = new Generator(sockets, peer.socketRole);
    await generator.connect();
    return await work(generator);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const logs = [message, peer.tail(), generator?.tail() ?? ''].filter(isNew).join('\n');
    throw new Error(`Cannot measure ${peer.name}: ${logs}`);
  } finally {
    // The generator first: it takes its devices down while there is still someone to tell.
    await generator?.stop();
    await peer.stop();
    directory.remove();
  }
}

/** A child's own failure already ends with its log. */
function isNew(text: string, index: number, all: readonly string[]): boolean {
  return text !== '' && !all.slice(0, index).some((earlier) => earlier.includes(text));
}
