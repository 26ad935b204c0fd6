// The VLAN options that VFs and uplinks share, and how they combine with existing settings.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { VlanSettings } from '../state/vlan.ts';
import { type ControlOptions, wholeNumber } from './options.ts';

export interface VlanOptions extends VlanSettings {
  /** False: `--no-vlan`. */
  vlan?: boolean;
}

export function addVlanOptions(command: Command): Command {
  const protocol = new Option(
    '--protocol <name>',
    'tag of the port: 802.1Q, or 802.1ad (outer tag)',
  );
  return command
    .option('--access <vlan>', 'the VLAN of a port whose frames have no tag', wholeNumber)
    .option('--trunk <vlans>', 'VLANs with a tag: a list such as 10,20, or all', vlanList)
    .option('--native <vlan>', "the trunk's VLAN whose frames have no tag", wholeNumber)
    .option('--priority <0-7>', '802.1p priority of frames that arrive without a tag', wholeNumber)
    .addOption(protocol.choices(['802.1Q', '802.1ad']))
    .option('--no-vlan', 'in no VLAN: tags pass untouched');
}

interface PortOptions extends ControlOptions, VlanOptions {
  json?: true;
}

/** Only the options given: a change must not reset the rest. */
type Said<Options> = Omit<Options, keyof PortOptions>;

/** The options of `add`. */
export function additionOf<Options extends PortOptions>(
  options: Options,
): Said<Options> & { vlan: VlanSettings } {
  const { vlan, rest } = splitVlanOptions(options);
  return { ...rest, vlan: mergeVlans({}, vlan ?? {}) };
}

/** The options of `set`. The port's VLANs are fetched only if they are to change. */
export async function changesOf<Options extends PortOptions>(
  options: Options,
  running: () => Promise<{ vlan: VlanSettings }>,
  command: Command,
): Promise<Said<Options> & { vlan?: VlanSettings }> {
  const { vlan, rest } = splitVlanOptions(options);
  if (vlan !== undefined) return { ...rest, vlan: mergeVlans((await running()).vlan, vlan) };
  if (Object.keys(rest).length === 0) {
    command.error(`error: ${command.parent?.name()} set needs something to set`);
  }
  return rest;
}

/** The VLAN options, undefined if none were given, and the rest. */
function splitVlanOptions<Options extends PortOptions>(
  options: Options,
): { vlan: VlanOptions | undefined; rest: Said<Options> } {
  const {
    access,
    trunk,
    native,
    priority,
    protocol,
    vlan,
    control: _,
    json: __,
    ...rest
  } = options;
  const settings = defined({ access, trunk, native, priority, protocol });
  if (vlan === false) return { vlan: { ...settings, vlan }, rest };
  return { vlan: Object.keys(settings).length === 0 ? undefined : settings, rest };
}

/**
 * The given options on top of the existing settings. When a port changes its kind it keeps priority
 * and tag; a trunk keeps its native VLAN if that is still among its VLANs.
 */
function mergeVlans(running: VlanSettings, said: VlanOptions): VlanSettings {
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

/** Checks only the shape: the validator knows the range and has the better message. */
function vlanList(text: string): number[] | 'all' {
  if (text === 'all') return text;
  if (!/^\d{1,9}(,\d{1,9})*$/.test(text)) {
    throw new InvalidArgumentError('Give VLANs separated by commas, such as 10,20, or "all".');
  }
  return text.split(',').map(Number);
}
