// The validator of a port's VLANs, for VFs and uplinks alike.

import { z } from 'zod';
import { VLAN_ID_MAX } from '../../layout/switch.ts';
import type { VlanSettings } from '../state/vlan.ts';
import { wholeNumber } from './fields.ts';

const PRIORITY_MAX = 7; // IEEE 802.1Q, 6.9.3: three bits.

const vlan = wholeNumber(1, VLAN_ID_MAX);
const trunkAllowed = `a list of VLANs from 1 to ${VLAN_ID_MAX}, each once, or "all"`;
const protocolAllowed = '"802.1Q" or "802.1ad" (the outer tag of two)';

const trunkList = z
  .array(vlan)
  .min(1, trunkAllowed)
  .refine((vlans) => new Set(vlans).size === vlans.length, trunkAllowed);

const fields = {
  access: vlan.optional().meta({ description: 'The VLAN of a port whose frames have no tag.' }),
  trunk: z
    .union([z.literal('all'), trunkList], trunkAllowed)
    .optional()
    .meta({ description: 'The VLANs of a port whose frames have tags.' }),
  native: vlan
    .optional()
    .meta({ description: 'The one VLAN of the trunk whose frames have no tag.' }),
  priority: wholeNumber(0, PRIORITY_MAX)
    .optional()
    .meta({ description: '802.1p priority of frames that arrive without a tag.' }),
  protocol: z
    .enum(['802.1Q', '802.1ad'], protocolAllowed)
    .optional()
    .meta({ description: 'The tag that the port reads and writes.' }),
};

export const VLAN_KEYS: readonly string[] = Object.keys(fields);

/** The keys that conflict with others, with what they must be instead. */
function conflictsOf(settings: VlanSettings): [keyof VlanSettings, string][] {
  const { access, trunk, native, priority, protocol } = settings;
  const conflicts: [keyof VlanSettings, string][] = [];
  const isInNone = access === undefined && trunk === undefined;
  if (access !== undefined && trunk !== undefined) {
    conflicts.push(['access', 'omitted if "trunk" is set (a port is one or the other)']);
  }
  if (native !== undefined && trunk === undefined) {
    conflicts.push(['native', 'omitted without "trunk"']);
  } else if (native !== undefined && trunk !== 'all' && !trunk?.includes(native)) {
    conflicts.push(['native', `one of the VLANs of "trunk" (${trunk?.join(', ')})`]);
  }
  const alone = 'omitted without "access" or "trunk"';
  if (isInNone && priority !== undefined) conflicts.push(['priority', alone]);
  if (isInNone && protocol !== undefined) conflicts.push(['protocol', alone]);
  return conflicts;
}

export const vlanSchema = z
  .strictObject(fields, `a mapping with ${VLAN_KEYS.join(', ')}`)
  .superRefine((settings, context) => {
    for (const [key, message] of conflictsOf(settings)) {
      context.addIssue({ code: 'custom', path: [key], message });
    }
  })
  .meta({ description: 'The VLANs of the port. Default: none; tags pass unchanged.' });
