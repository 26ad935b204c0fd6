// The validator of entropy devices.

import { z } from 'zod';
import { flagAllowed, name, socketPath } from './fields.ts';

const modeAllowed = '"server" (the NIC listens) or "client" (the VMM listens)';

export const rngSchema = z.strictObject(
  {
    name: name.meta({ description: 'Name of the device, unique in its NIC.' }),
    socket: socketPath.meta({ description: 'Path of the vhost-user socket, absolute.' }),
    mode: z.enum(['server', 'client'], modeAllowed).default('server').meta({
      description:
        'server: the NIC listens. client: the VMM listens, the NIC connects and reconnects.',
    }),
    allowUnsealedMemory: z.boolean(flagAllowed).default(false).meta({
      description: 'Accept guest memory that its owner could remove, which would kill the NIC.',
    }),
  },
  'a mapping with the keys of an entropy device',
);

export const RNG_KEYS: readonly string[] = Object.keys(rngSchema.shape);
