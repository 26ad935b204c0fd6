// The validator of everything a user writes: the YAML file, API bodies, createNic(). Each rule
// carries the description of what it allows; the error messages are built from these.

import { z } from 'zod';
import {
  FUNCTION_COUNT_MAX,
  GROUP_COUNT_MAX,
  PORT_COUNT_MAX,
  PROCESSOR_COUNT_MAX,
  QUEUE_PAIRS_MAX,
} from '../../layout/limits.ts';
import {
  OPTIONAL_FEATURES,
  type OptionalFeature,
  SWITCHABLE_FEATURES,
  type SwitchableFeature,
} from '../functions/net/features.ts';
import { CPU_COUNT_MAX } from '../os/constants.ts';
import { flagAllowed, gro, name, socketPath, wholeNumber } from './fields.ts';
import { MAC_PATTERN } from './mac.ts';
import { rngSchema } from './rng-schema.ts';
import { groupSchema, nicCapacity, vfSharingDefaults, vfSharingFields } from './sharing-schema.ts';
import { uplinkSchema } from './uplink-schema.ts';
import { vlanSchema } from './vlan-schema.ts';

const MTU_MIN = 68; // RFC 791: every IPv4 link carries this much.
const MTU_MAX = 65535; // virtio 1.3, 5.1.4.1: mtu is 68 to 65535.
const MTU_DEFAULT = 1500;
const MAC_AGE_SECONDS_DEFAULT = 300; // IEEE 802.1Q, table 8-6.
const MAC_AGE_SECONDS_MAX = 1_000_000; // IEEE 802.1Q, table 8-6.

/** Measured: docs/performance.md. */
const GRO_DEFAULT = true;

const macAllowed = 'a unicast MAC address';
const modeAllowed = '"server" (the NIC listens) or "client" (the VMM listens)';
const linkStateAllowed =
  '"auto" (up while an uplink is up), "enable" (always) or "disable" (never)';
const featureNames = Object.keys(SWITCHABLE_FEATURES) as [SwitchableFeature];
const optionalNames = Object.keys(OPTIONAL_FEATURES) as [OptionalFeature];
const featureAllowed = `a virtio feature: ${featureNames.join(', ')}`;
const optionalAllowed = `one of ${optionalNames.join(', ')}`;

const vfFields = {
  name: name.meta({ description: 'Name of the VF, unique in its NIC.' }),
  socket: socketPath.meta({ description: 'Path of the vhost-user socket, absolute.' }),
  mode: z.enum(['server', 'client'], modeAllowed).meta({
    description:
      'server: the NIC listens. client: the VMM listens, the NIC connects and reconnects.',
  }),
  mac: z
    .string(macAllowed)
    .regex(MAC_PATTERN, macAllowed)
    .toLowerCase()
    .meta({ description: 'Unicast MAC address. Default: derived from the names, stable.' }),
  queuePairs: wholeNumber(1, QUEUE_PAIRS_MAX).meta({
    description: 'Pairs of a receive and a transmit queue.',
  }),
  mtu: wholeNumber(MTU_MIN, MTU_MAX).meta({ description: 'Largest IP packet of the guest.' }),
  allowUnsealedMemory: z.boolean(flagAllowed).meta({
    description: 'Accept guest memory that its owner could remove, which would kill the NIC.',
  }),
  disabledFeatures: z.array(z.enum(featureNames, featureAllowed), 'a list of features').meta({
    description: 'Virtio features that the VF does not offer, for guests that misuse them.',
  }),
  enabledFeatures: z.array(z.enum(optionalNames, optionalAllowed), 'a list of features').meta({
    description: 'Virtio features that only some VMMs support: see docs/virtio-features.md.',
  }),
  vlan: vlanSchema,
  linkState: z.enum(['auto', 'enable', 'disable'], linkStateAllowed).meta({
    description: 'auto: the link is up while an uplink is up. enable: always. disable: never.',
  }),
  gro,
  ...vfSharingFields,
};

export const vfSchema = z.strictObject(
  {
    name: vfFields.name,
    socket: vfFields.socket,
    mode: vfFields.mode.default('server'),
    mac: vfFields.mac.optional(),
    queuePairs: vfFields.queuePairs.default(1),
    mtu: vfFields.mtu.default(MTU_DEFAULT),
    allowUnsealedMemory: vfFields.allowUnsealedMemory.default(false),
    disabledFeatures: vfFields.disabledFeatures.default([]),
    enabledFeatures: vfFields.enabledFeatures.default([]),
    vlan: vfFields.vlan.default({}),
    linkState: vfFields.linkState.default('enable'),
    gro: gro.default(GRO_DEFAULT),
    ...vfSharingDefaults,
  },
  'a mapping with the keys of a VF',
);

// The fields without their defaults: a change must not reset what it does not mention.
const { name: _, ...changeableFields } = vfFields;
export const vfChangesSchema = z
  .strictObject(changeableFields, 'a mapping with the keys of a VF that change')
  .partial();

/** Their memory, 8 MiB per queue pair, must leave room for the rings of the VFs. */
const UPLINK_COUNT_MAX = 16;
const uplinkListAllowed = `a list of at most ${UPLINK_COUNT_MAX} uplinks`;
const cpu = wholeNumber(0, CPU_COUNT_MAX - 1);
const cpusAllowed = 'a list of CPU numbers, each once';
const rngListAllowed = `a list of at most ${FUNCTION_COUNT_MAX} entropy devices`;
const groupListAllowed = `a list of at most ${GROUP_COUNT_MAX} groups`;
const vfListAllowed = `a list of at most ${PORT_COUNT_MAX} VFs`;

export const nicSchema = z
  .strictObject(
    {
      name: name.default('nic0').meta({ description: 'Name of the NIC.' }),
      processors: wholeNumber(1, PROCESSOR_COUNT_MAX)
        .default(1)
        .meta({ description: 'Worker threads that run the firmware.' }),
      processorCpus: z
        .array(cpu, cpusAllowed)
        .refine((cpus) => new Set(cpus).size === cpus.length, cpusAllowed)
        .default([])
        .meta({ description: 'Dedicated CPUs, one for each processor.' }),
      macAgeSeconds: wholeNumber(1, MAC_AGE_SECONDS_MAX)
        .default(MAC_AGE_SECONDS_DEFAULT)
        .meta({ description: 'A learned address is forgotten after this long without a frame.' }),
      capacity: nicCapacity.default(0),
      control: socketPath
        .optional()
        .meta({ description: 'Path of the control socket of "heddle up", absolute.' }),
      groups: z
        .array(groupSchema, groupListAllowed)
        .refine((groups) => groups.length <= GROUP_COUNT_MAX, groupListAllowed)
        .default([])
        .meta({ description: 'Groups of VFs that share a guarantee, a limit or a weight.' }),
      vfs: z
        .array(vfSchema, vfListAllowed)
        .max(PORT_COUNT_MAX, vfListAllowed)
        .default([])
        .meta({ description: 'The virtual functions: one per VM.' }),
      uplinks: z
        .array(uplinkSchema, uplinkListAllowed)
        .max(UPLINK_COUNT_MAX, uplinkListAllowed)
        .default([])
        .meta({ description: 'Connections of the NIC to other networks.' }),
      rngs: z
        .array(rngSchema, rngListAllowed)
        .max(FUNCTION_COUNT_MAX, rngListAllowed)
        .default([])
        .meta({ description: 'Entropy devices (virtio-rng).' }),
    },
    'a mapping with the keys of a NIC',
  )
  .meta({ title: 'Heddle NIC', description: 'One NIC and its virtual functions.' });

export const VF_KEYS: readonly string[] = Object.keys(vfSchema.shape);
export const VF_CHANGE_KEYS: readonly string[] = Object.keys(vfChangesSchema.shape);
export const NIC_KEYS: readonly string[] = Object.keys(nicSchema.shape);
