// Configuration of an entropy device. `RngConfigInput` is what a user writes.

import type { SocketMode } from '../../os/unix-endpoint.ts';

export interface RngConfig {
  name: string;
  socket: string;
  /** server: the NIC listens. client: the VMM listens, and the NIC connects and reconnects. */
  mode: SocketMode;
  allowUnsealedMemory: boolean;
}

export interface RngConfigInput {
  name: string;
  socket: string;
  mode?: SocketMode | undefined;
  allowUnsealedMemory?: boolean | undefined;
}
