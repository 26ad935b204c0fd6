// The validator of uplinks: one mapping per type, selected by `type`.

import { z } from 'zod';
import { LEARNED_PER_UPLINK_MAX, QUEUE_PAIRS_MAX } from '../../layout/limits.ts';
import { gro, name, socketPath, wholeNumber } from './fields.ts';
import { uplinkCapacity, uplinkOverhead } from './sharing-schema.ts';
import { vlanSchema } from './vlan-schema.ts';

const MTU_MIN = 68;
/**
 * What every Ethernet carries, and what one frame can hold (FRAME_SIZE_MAX without its headers).
 */
const MTU_DEFAULT = 1500;
const MTU_MAX = 65521;
/**
 * vde_switch has room for 1518 bytes: an Ethernet header, a VLAN tag, and this much. It silently
 * drops longer frames.
 */
const VDE_MTU_MAX = 1500;

const interfaceAllowed = 'the name of a network interface, 1 to 15 characters without "/" or space';

const modeAllowed = '"server" (the NIC listens) or "client" (the NIC connects)';
const attachAllowed = '"auto", "native" (in the driver) or "generic" (in the kernel)';
const zeroCopyAllowed = '"auto", "required" or "never"';
const programAllowed = 'the name or the path of a program';
const wordAllowed = 'text, quoted if it looks like a number';

const fields = {
  name: name.meta({ description: 'Name of the uplink, unique in its NIC.' }),
  mtu: wholeNumber(MTU_MIN, MTU_MAX)
    .default(MTU_DEFAULT)
    .meta({ description: 'Largest IP packet that it carries.' }),
  vdeMtu: wholeNumber(MTU_MIN, VDE_MTU_MAX, 'a VDE switch carries no more')
    .default(MTU_DEFAULT)
    .meta({ description: 'Largest IP packet that it carries.' }),
  interface: z
    .string(interfaceAllowed)
    .regex(/^(?!\.{1,2}$)[^\s/:]{1,15}$/, interfaceAllowed)
    .meta({ description: 'The network interface.' }),
  queues: wholeNumber(1, QUEUE_PAIRS_MAX).default(1).meta({ description: 'Parallel queues.' }),
  socket: socketPath.meta({ description: 'Path of our end of the connection, absolute.' }),
  peer: socketPath.meta({ description: "Path of the peer's end of the connection, absolute." }),
  mode: z
    .enum(['server', 'client'], modeAllowed)
    .default('server')
    .meta({ description: 'server: the NIC listens. client: the NIC connects, and reconnects.' }),
  attach: z.enum(['auto', 'native', 'generic'], attachAllowed).default('auto').meta({
    description: 'Where the XDP program attaches. auto: in the driver, if it supports that.',
  }),
  zeroCopy: z
    .enum(['auto', 'required', 'never'], zeroCopyAllowed)
    .default('auto')
    .meta({ description: 'Whether the driver moves frames itself. auto: if it can.' }),
  program: z
    .string(programAllowed)
    .min(1, programAllowed)
    .default('passt')
    .meta({ description: 'The program: a path, or a name to look up in PATH.' }),
  arguments: z
    .array(z.string(wordAllowed), 'a list of arguments')
    .default([])
    .meta({ description: 'More arguments for the program.' }),
};

const chanceAllowed = 'a probability from 0 to 1';
const chance = z.number(chanceAllowed).min(0, chanceAllowed).max(1, chanceAllowed).default(0);
const faults = z
  .strictObject(
    {
      seed: wholeNumber(1, 0xffffffff).default(1),
      drop: chance,
      corrupt: chance,
      reorder: chance,
      delayMilliseconds: wholeNumber(0, 10_000).default(0),
      rateMbps: wholeNumber(0, 1_000_000).default(0),
    },
    'a mapping with seed, drop, corrupt, reorder, delayMilliseconds, rateMbps',
  )
  .optional()
  .meta({ description: 'Injected faults, for testing what uses the network.' });
const trace = z
  .string('an absolute path')
  .regex(/^\//, 'an absolute path')
  .optional()
  .meta({ description: 'A pcapng file that records all frames.' });

/** A large site, and an eighth of the table. */
const ADDRESSES_DEFAULT = 16384;

const named = {
  name: fields.name,
  faults,
  trace,
  vlan: vlanSchema.default({}),
  gro: gro.default(false),
  addressesMax: wholeNumber(1, LEARNED_PER_UPLINK_MAX).default(ADDRESSES_DEFAULT).meta({
    description: 'Most addresses that the switch learns behind the uplink.',
  }),
  capacity: uplinkCapacity.default('auto'),
  overhead: uplinkOverhead,
};
const common = { ...named, mtu: fields.mtu };

const allowed = 'a mapping with the keys of an uplink';
const kinds = [
  z.strictObject({ ...common, type: z.literal('loopback') }, allowed),
  z.strictObject({ ...common, type: z.literal('null') }, allowed),
  z.strictObject(
    {
      ...common,
      type: z.literal('tap'),
      interface: fields.interface,
      queues: fields.queues,
    },
    allowed,
  ),
  z.strictObject(
    {
      ...named,
      type: z.literal('packet'),
      interface: fields.interface,
      queues: fields.queues,
    },
    allowed,
  ),
  z.strictObject(
    {
      ...named,
      type: z.literal('xdp'),
      interface: fields.interface,
      queues: fields.queues,
      attach: fields.attach,
      zeroCopy: fields.zeroCopy,
    },
    allowed,
  ),
  z.strictObject(
    {
      ...common,
      type: z.literal('passt'),
      program: fields.program,
      arguments: fields.arguments,
    },
    allowed,
  ),
  z.strictObject(
    { ...common, type: z.literal('stream'), socket: fields.socket, mode: fields.mode },
    allowed,
  ),
  z.strictObject(
    { ...common, type: z.literal('dgram'), socket: fields.socket, peer: fields.peer },
    allowed,
  ),
  z.strictObject(
    { ...named, mtu: fields.vdeMtu, type: z.literal('vde'), socket: fields.socket },
    allowed,
  ),
] as const;

export const UPLINK_TYPES: readonly string[] = kinds.map((kind) => kind.shape.type.value);

const typeAllowed = `a type of uplink: ${UPLINK_TYPES.join(', ')}`;

export const uplinkSchema = z.discriminatedUnion('type', kinds, typeAllowed);

/** The keys of an uplink of this type, or of all types if the type is unknown. */
export function uplinkKeys(type: unknown): readonly string[] {
  const matching = kinds.filter((kind) => kind.shape.type.value === type);
  const chosen = matching.length === 0 ? kinds : matching;
  return [...new Set(chosen.flatMap((kind) => Object.keys(kind.shape)))];
}
