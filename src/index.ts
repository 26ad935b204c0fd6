// The package root: create a NIC from a configuration, change it at run time, read its counters.

export { createApi } from './api/app.ts';
export {
  cloudHypervisorArguments,
  libvirtXml,
  qemuArguments,
  shellText,
} from './api/attach.ts';
export { ControlClient, type NicEvent } from './api/client.ts';
export { type ControlSocket, openControlSocket } from './api/control-socket.ts';
export { loadConfig, parseConfig } from './config/load.ts';
export type {
  Action,
  GroupChangesInput,
  GroupConfig,
  GroupConfigInput,
  NicConfig,
  NicConfigInput,
} from './config/types.ts';
export { type ErrorCode, OperatorError } from './errors.ts';
export type {
  VfChanges,
  VfChangesInput,
  VfConfig,
  VfConfigInput,
} from './functions/net/config.ts';
export type { VfInfo, VfStats } from './functions/net/types.ts';
export type { FunctionState, RingInfo } from './functions/types.ts';
export { createNic, restoreNic } from './nic/nic.ts';
export type {
  FdbEntry,
  GroupInfo,
  GroupStats,
  Nic,
  NicEventName,
  NicEvents,
  NicListener,
  NicState,
  NicStats,
} from './nic/types.ts';
export type { ProcessorStats } from './processor/stats.ts';
export type { AccountStats } from './state/accounts.ts';
export type { QueueStats, RxStats, TxStats } from './state/stats.ts';
export type { UplinkChanges, UplinkConfig, UplinkConfigInput } from './uplinks/config.ts';
export type { UplinkInfo, UplinkStats } from './uplinks/types.ts';
