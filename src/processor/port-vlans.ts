import { isInVlans, type VlanSettings, writePortWord, writeVlanSet } from '../state/vlan.ts';
import type { Fabric } from './fabric.ts';
import { forgetPort } from './forget-port.ts';

/** The VLANs of a port that no ring serves yet. */
export function initVlans(fabric: Fabric, port: number, settings: VlanSettings): void {
  const { shared } = fabric;
  writePortWord(shared.view, shared.portOffset(port), settings);
  writeVlanSet(shared.view, 0, port, settings);
}

/**
 * Moves a running port to other VLANs. First it is in none; when every processor has finished the
 * batch in which it still was, what the MAC table knew of it is forgotten, and it comes back: no
 * frame sees half of two configurations.
 */
export async function changeVlans(
  fabric: Fabric,
  place: { port: number; processor: number },
  from: VlanSettings,
  to: VlanSettings,
): Promise<void> {
  const { shared } = fabric;
  const { port } = place;
  const settle = () => fabric.broadcast({ kind: 'settle' });
  const nowhere = isInVlans(from) ? from : to;
  writeVlanSet(shared.view, 0, port, {});
  writePortWord(shared.view, shared.portOffset(port), nowhere);
  await settle();
  await forgetPort(fabric, place);
  writePortWord(shared.view, shared.portOffset(port), to);
  await settle();
  writeVlanSet(shared.view, 0, port, to);
}
