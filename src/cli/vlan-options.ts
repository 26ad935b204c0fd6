// The VLAN options that VFs and uplinks share, and what they make of the settings there are.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { VlanSettings } from '../switch/vlan.ts';
import { wholeNumber } from './options.ts';

export interface VlanOptions extends VlanSettings {
  /** False: `--no-vlan`. */
  vlan?: boolean;
}

export function addVlanOptions(command: Command): Command {
  const protocol = new Option('--protocol <name>', 'tag of the port: 802.1Q, or 802.1ad (outer)');
  return command
    .option('--access <vlan>', 'the VLAN of a port whose frames have no tag', wholeNumber)
    .option('--trunk <vlans>', 'VLANs with a tag, such as 10,20, or all', vlanList)
    .option('--native <vlan>', 'the VLAN of the trunk that goes without a tag', wholeNumber)
    .option('--priority <0-7>', '802.1p priority of frames that come without a tag', wholeNumber)
    .addOption(protocol.choices(['802.1Q', '802.1ad']))
    .option('--no-vlan', 'in no VLAN: tags pass untouched');
}

/** The options without those of VLANs, and what the latter say; undefined if they say nothing. */
export function splitVlanOptions<Options extends VlanOptions>(
  options: Options,
): { said: VlanOptions | undefined; rest: Omit<Options, keyof VlanOptions> } {
  const { access, trunk, native, priority, protocol, vlan, ...rest } = options;
  const settings = defined({ access, trunk, native, priority, protocol });
  if (vlan === false) return { said: { ...settings, vlan }, rest };
  return { said: Object.keys(settings).length === 0 ? undefined : settings, rest };
}

/**
 * What was said on top of what there is. A port that becomes another kind of port keeps its
 * priority and its tag, and a trunk its native VLAN if that is still among its VLANs.
 */
export function mergeVlans(running: VlanSettings, said: VlanOptions): VlanSettings {
  const { vlan, ...settings } = said;
  const { access, native, ...kept } = vlan === false ? {} : running;
  if (settings.access !== undefined) {
    const { trunk: _, ...both } = kept;
    return defined({ ...both, ...settings });
  }
  if (settings.trunk === undefined) return defined({ access, native, ...kept, ...settings });
  const isStillIn = native !== undefined && includes(settings.trunk, native);
  return defined({ ...kept, ...(isStillIn ? { native } : {}), ...settings });
}

function includes(trunk: number[] | 'all', vlan: number): boolean {
  return trunk === 'all' || trunk.includes(vlan);
}

function defined(settings: VlanSettings): VlanSettings {
  const entries = Object.entries(settings).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries);
}

/** Only the shape: the validator knows the range, and says so better. */
function vlanList(text: string): number[] | 'all' {
  if (text === 'all') return text;
  if (!/^\d{1,9}(,\d{1,9})*$/.test(text)) {
    throw new InvalidArgumentError('Give VLANs with commas between them, such as 10,20, or "all".');
  }
  return text.split(',').map(Number);
}
