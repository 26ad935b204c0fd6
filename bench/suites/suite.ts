// What a suite is given, and how it hands its results over.

import type { Peer } from '../peers/peer.ts';
import type { Profile } from '../profiles.ts';
import type { Sample } from '../sample.ts';

export interface SuiteContext {
  readonly peers: readonly Peer[];
  readonly profile: Profile;
  record(sample: Sample): void;
  /** Something is left out, for a reason that the report repeats. */
  omit(what: string, reason: string): void;
  /**
   * Measures one thing. If that fails, the report says so loudly and the run ends with a failure,
   * but the other measurements still take place: a long run is too dear to throw away.
   */
  attempt(what: string, measure: () => Promise<void>): Promise<void>;
}

/** A B C A B C …: neighbours in time are compared, so a machine's moods hit all alike. */
export async function interleave(
  context: SuiteContext,
  rounds: number,
  what: string,
  visit: (peer: Peer, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const peer of context.peers) {
      const name = `${what}, ${peer.name}, round ${round + 1}`;
      await context.attempt(name, () => visit(peer, round));
    }
  }
}
