// The validators of what VFs, groups and uplinks are promised.

import { z } from 'zod';
import { PRIORITY_COUNT, WEIGHT_MAX } from '../../layout/limits.ts';
import { name, wholeNumber } from './fields.ts';
import { parsePacketRate, parseRate, parseSize } from './rates.ts';

/** What `group` and `parent` name if there is none; no group has this name. */
export const NO_GROUP = 'none';

/** At this rate, a full frame takes 1.5 s. */
const RATE_MIN = 8000;
const RATE_MAX = 1e13;
const SIZE_MAX = 2 ** 32 - 1;
const PACKET_RATE_MAX = 1e10;
/** More than any tunnel or line code adds. */
const OVERHEAD_MAX = 256;
/** Preamble, frame check sequence and gap of Ethernet (IEEE 802.3). */
const OVERHEAD_DEFAULT = 24;

const rateAllowed = 'a rate such as 5Gbit or 800kbit, from 8kbit to 10Tbit, or 0 (none)';
const sizeAllowed = 'a number of bytes such as 64KB or 2MB, less than 4GB, or 0 (none)';
const packetRateAllowed = 'packets per second such as 10k or 1M, up to 10G, or 0 (none)';
const capacityAllowed = `${rateAllowed}, or "auto" (the speed of a hardware interface)`;

/** A number, or text that `parse` reads; 0 or within the limits. */
function quantity(
  parse: (text: string) => number | undefined,
  [minimum, maximum]: [number, number],
  allowed: string,
) {
  return z.union([z.number(), z.string()], allowed).transform((value, context) => {
    const amount = typeof value === 'number' ? value : parse(value);
    const isAllowed = amount === 0 || (amount! >= minimum && amount! <= maximum);
    if (amount !== undefined && isAllowed) return Math.round(amount);
    context.addIssue({ code: 'custom', message: allowed });
    return z.NEVER;
  });
}

const rate = quantity(parseRate, [RATE_MIN, RATE_MAX], rateAllowed);
const size = quantity(parseSize, [1, SIZE_MAX], sizeAllowed);
const packetRate = quantity(parsePacketRate, [1, PACKET_RATE_MAX], packetRateAllowed);

export const nicCapacity = rate.meta({
  description:
    "The NIC's virtual wire in bit/s: a limit of what all VFs and uplinks send through it together.",
});

export const uplinkCapacity = z.union([z.literal('auto'), rate], capacityAllowed).meta({
  description: 'What the network takes, in bit/s. auto: the speed of a hardware interface.',
});

export const uplinkOverhead = wholeNumber(0, OVERHEAD_MAX)
  .default(OVERHEAD_DEFAULT)
  .meta({ description: 'Bytes that each frame takes on the wire beside its own.' });

const groupName = name.refine((text) => text !== NO_GROUP, `a name other than "${NO_GROUP}"`);

const sendingFields = {
  txShare: rate.meta({ description: 'Guaranteed: what it may send in any case, in bit/s.' }),
  txMax: rate.meta({ description: 'Limit: it never sends more than this, in bit/s.' }),
  txWeight: wholeNumber(1, WEIGHT_MAX).meta({
    description: 'Its part of what is left, relative to others in the same group.',
  }),
  txPriority: wholeNumber(0, PRIORITY_COUNT - 1).meta({
    description: 'Of those in one group, the higher sends first, up to its limit.',
  }),
  txBurst: size.meta({
    description: 'Bytes that it may send at once after a pause. Default: 0.45 ms at txMax.',
  }),
};

/** What a VF is promised, without defaults. */
export const vfSharingFields = {
  group: name.meta({ description: 'The group that it is in. Default: none.' }),
  ...sendingFields,
  txMaxPackets: packetRate.meta({ description: 'Limit of what it sends, in packets/s.' }),
  rxMax: rate.meta({ description: 'Limit of what it receives, in bit/s.' }),
  rxMaxPackets: packetRate.meta({ description: 'Limit of what it receives, in packets/s.' }),
};

const sendingDefaults = {
  txShare: sendingFields.txShare.default(0),
  txMax: sendingFields.txMax.default(0),
  txWeight: sendingFields.txWeight.default(1),
  txPriority: sendingFields.txPriority.default(0),
  txBurst: sendingFields.txBurst.default(0),
};

/** The same with defaults. */
export const vfSharingDefaults = {
  group: vfSharingFields.group.default(NO_GROUP),
  ...sendingDefaults,
  txMaxPackets: vfSharingFields.txMaxPackets.default(0),
  rxMax: vfSharingFields.rxMax.default(0),
  rxMaxPackets: vfSharingFields.rxMaxPackets.default(0),
};

const parent = name.meta({ description: 'The group above. Default: none.' });

export const groupSchema = z.strictObject(
  {
    name: groupName.meta({ description: 'Name of the group, unique in its NIC.' }),
    parent: parent.default(NO_GROUP),
    ...sendingDefaults,
  },
  'a mapping with the keys of a group',
);

export const groupChangesSchema = z
  .strictObject({ parent, ...sendingFields }, 'a mapping with the keys of a group that change')
  .partial();

export const GROUP_KEYS: readonly string[] = Object.keys(groupSchema.shape);
export const GROUP_CHANGE_KEYS: readonly string[] = Object.keys(groupChangesSchema.shape);
