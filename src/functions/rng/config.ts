// What an entropy device is configured with. `RngConfigInput` is what a user may write.

import type { SocketMode } from '../../os/unix-endpoint.ts';

export interface RngConfig {
  name: string;
  socket: string;
  /** server: the NIC listens; client: the VMM listens, and the NIC connects and reconnects. */
  mode: SocketMode;
  allowUnsealedMemory: boolean;
}

export interface RngConfigInput {
  name: string;
  socket: string;
  mode?: SocketMode | undefined;
  allowUnsealedMemory?: boolean | undefined;
}
