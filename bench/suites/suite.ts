// What a suite gets, and how it returns its results.

import { heddleName } from '../peers/heddle.ts';
import type { Peer } from '../peers/peer.ts';
import type { Profile } from '../profiles.ts';
import type { Sample } from '../sample.ts';

export interface SuiteContext {
  readonly peers: readonly Peer[];
  /** The names that were requested; empty: all. */
  readonly wanted: readonly string[];
  readonly profile: Profile;
  record(sample: Sample): void;
  /** Something is omitted, for a reason that the report repeats. */
  omit(what: string, reason: string): void;
  /**
   * Measures one thing. If that fails, the report says so prominently and the run fails, but the
   * other measurements still take place: a long run is too expensive to discard.
   */
  attempt(what: string, measure: () => Promise<void>): Promise<void>;
}

/** A B C A B C …: neighbours in time are compared, so noise on the machine affects all alike. */
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

/** The same with only those peers that can have that many ports. */
export function withPorts(context: SuiteContext, what: string, count: number): SuiteContext {
  const canHave = (peer: Peer) => {
    const reason = tooManyPorts(context, peer, count);
    if (reason !== null) context.omit(`${what}, ${peer.name}`, reason);
    return reason === null;
  };
  return { ...context, peers: context.peers.filter(canHave) };
}

function tooManyPorts({ profile }: SuiteContext, peer: Peer, count: number): string | null {
  if (peer.portsMax !== undefined && count > peer.portsMax) {
    return `it has at most ${peer.portsMax} ports`;
  }
  if (peer.name === heddleName || count <= profile.portsOfOthersMax) return null;
  return `the profile ${profile.name} gives others at most ${profile.portsOfOthersMax} ports`;
}
