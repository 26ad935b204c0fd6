import { VLAN_ANY } from '../../layout/switch.ts';
import { monotonicSeconds } from '../os/clock.ts';
import { readMacTable } from '../state/mac-table.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { FdbEntry } from './types.ts';

/** The addresses that the switch knows. `ports`: the VFs and uplinks, for their names. */
export function readFdb(
  shared: SharedState,
  ports: readonly { port: number; name: string }[],
  macAgeSeconds: number,
): FdbEntry[] {
  const names = new Map(ports.map(({ port, name }) => [port, name]));
  const entries = readMacTable(shared.view, monotonicSeconds(), macAgeSeconds);
  // Addresses of a port that is down are left out: frames for them are flooded.
  return entries
    .filter(({ port }) => shared.isReceiving(port))
    .map(({ port, vlan, ...entry }) => ({
      ...entry,
      ...(vlan === 0 ? {} : { vlan: vlan === VLAN_ANY ? 'trunk' : vlan }),
      vf: names.get(port) ?? `#${port}`,
    }));
}
