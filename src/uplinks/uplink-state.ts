import type { NetPortState } from '../functions/net/net-port.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import type { UplinkConfig } from './config.ts';
import type { LoopHoldState } from './loop-hold.ts';
import type { PortRoomsState } from './port-rooms.ts';
import type { SourceState } from './uplink.ts';

/** An uplink as data. */
export interface UplinkState {
  number: number;
  ringBlock: RingBlock;
  processor: number;
  config: UplinkConfig;
  isUp: boolean;
  reason: string | undefined;
  loop: LoopHoldState;
  rooms: PortRoomsState;
  traceFd: number;
  /** Null: another one can only be opened anew. */
  source: SourceState | null;
  port: number;
  net: NetPortState;
}
