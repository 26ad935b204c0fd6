// The peers of the benchmark, in the order in which each round runs them.

import { beforeName, createHeddle, heddleName } from './heddle.ts';
import { createOvsDpdk } from './ovs-dpdk.ts';
import type { Peer } from './peer.ts';
import { createTestpmdVhost } from './testpmd-vhost.ts';

/** The last three only connect virtual machines: `vm/links.ts`. */
export const peerNames: readonly string[] = [
  ...[heddleName, 'ovs-dpdk', 'testpmd-vhost'],
  ...['bridge-tap', 'qemu-stream', 'vde-switch'],
];

export interface ChosenPeers {
  readonly usable: readonly Peer[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/**
 * The named peers, or all, split by whether they can run here. `before`: another build of Heddle,
 * which is measured too, whichever peers are named.
 */
export function choosePeers(names: readonly string[], before: string | null): ChosenPeers {
  const earlier: readonly Peer[] =
    before === null ? [] : [createHeddle({ name: beforeName, checkout: before })];
  const all = [createHeddle(), ...earlier, createOvsDpdk(), createTestpmdVhost()];
  const unknown = names.find((name) => !peerNames.includes(name));
  if (unknown !== undefined) {
    const known = peerNames.join(', ');
    throw new Error(`Unknown peer ${unknown}: allowed are ${known}.`);
  }
  const wanted = all.filter(
    (peer) => names.length === 0 || names.includes(peer.name) || earlier.includes(peer),
  );
  const usable: Peer[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const peer of wanted) {
    const reason = peer.available();
    if (reason === null) usable.push(peer);
    else skipped.push({ name: peer.name, reason });
  }
  // Named peers must be measured. Without names, Heddle must.
  const required = [...(names.length === 0 ? [heddleName] : names), ...earlier.map(nameOf)];
  const absent = skipped.find(({ name }) => required.includes(name));
  if (absent !== undefined) throw new Error(`Cannot measure ${absent.name}: ${absent.reason}.`);
  return { usable, skipped };
}

function nameOf({ name }: Peer): string {
  return name;
}
