import type { NicConfigInput } from '../config/types.ts';
import type { Nic } from '../nic/types.ts';

/** What the commands work with: a test gives them a NIC of its own. */
export interface ProgramContext {
  createNic: (config: NicConfigInput) => Promise<Nic>;
}
