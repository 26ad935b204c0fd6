import type { NicConfigInput } from '../config/types.ts';
import type { Nic } from '../nic/types.ts';

/** What the commands need from outside; tests supply a NIC of their own. */
export interface ProgramContext {
  createNic: (config: NicConfigInput) => Promise<Nic>;
}
