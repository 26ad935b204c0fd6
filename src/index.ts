// The package root: create a NIC from a configuration, change it while it runs, read its counters.

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
export { type ErrorCode, OperatorError } from './errors.ts';
export { createNic } from './nic/nic.ts';
export type {
  Action,
  FdbEntry,
  Nic,
  NicConfig,
  NicConfigInput,
  NicEventName,
  NicEvents,
  NicListener,
  NicStats,
  ProcessorStats,
  QueueStats,
  RingInfo,
  RxStats,
  TxStats,
  UplinkChanges,
  UplinkConfig,
  UplinkConfigInput,
  UplinkInfo,
  UplinkStats,
  VfChanges,
  VfConfig,
  VfConfigInput,
  VfInfo,
  VfState,
  VfStats,
} from './nic/types.ts';
