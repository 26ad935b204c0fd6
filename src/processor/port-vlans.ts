import { isInVlans, type VlanSettings, writePortWord, writeVlanSet } from '../state/vlan.ts';
import type { Fabric } from './fabric.ts';
import { forgetPort } from './forget-port.ts';

/** Sets the VLANs of a port that no ring serves yet. */
export function initVlans(fabric: Fabric, port: number, settings: VlanSettings): void {
  const { shared } = fabric;
  writePortWord(shared.view, shared.portOffset(port), settings);
  writeVlanSet(shared.view, 0, port, settings);
}

/**
 * Moves a running port to other VLANs. The port first leaves all VLANs. Once every processor has
 * finished the batch in which the port was still a member, the port's entries in the MAC table are
 * removed and it joins its new VLANs. So no frame sees a mix of two configurations.
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
