import { NODE_ROOT } from '../../layout/limits.ts';
import type { NicStats } from '../../src/nic/types.ts';
import { readAccount } from '../../src/state/accounts.ts';
import { readAddresses, readQueues, sumRx, sumTx } from '../../src/state/counters.ts';
import type { SharedState } from '../../src/state/shared-state.ts';

/** A guest of firmware without a NIC. */
interface HostedVf {
  /** Of the function and of the port. */
  number: number;
  mac: string;
  firstRing: number;
  queuePairs: number;
}

/** The counters in the form of a NIC's, so that the same assertions work for both. */
export function firmwareStats(shared: SharedState, vfs: readonly HostedVf[]): NicStats {
  const stats = vfs.map(({ number, mac, firstRing, queuePairs }) => {
    const queues = readQueues(shared, firstRing, queuePairs);
    const sums = { tx: sumTx(queues), rx: sumRx(queues), queues: [] };
    const addresses = readAddresses(shared, number);
    const account = readAccount(shared.view, number);
    const states = { state: 'ready', link: 'up' } as const;
    return { name: `vf${number}`, mac, ...states, addresses, account, ...sums };
  });
  const account = readAccount(shared.view, NODE_ROOT);
  const others = { groups: [], uplinks: [], processors: [] };
  return { name: 'firmware', uptimeSeconds: 0, account, vfs: stats, ...others };
}
