import type { NetPortState } from '../functions/net/net-port.ts';
import type { MemoryState } from '../memory/guest-memory.ts';
import type { Pin } from '../memory/pins.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { UplinkConfig } from './config.ts';
import type { LoopHoldState } from './loop-hold.ts';
import type { SourceState, Wires } from './uplink.ts';

/** An uplink as data. */
export interface UplinkState {
  number: number;
  ringBlock: RingBlock;
  processor: number;
  config: UplinkConfig;
  isUp: boolean;
  reason: string | undefined;
  loop: LoopHoldState;
  memory: MemoryState;
  pins: Pin[];
  callFds: number[];
  wires: Wires | null;
  traceFd: number;
  source: SourceState;
  port: number;
  net: NetPortState;
}
