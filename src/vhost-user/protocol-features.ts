import { featureSet } from '../virtqueue/features.ts';
import { ProtocolFeature } from './message.ts';

/** What every kind of device offers; a kind may add to it. */
export const OFFERED_PROTOCOL_FEATURES = featureSet([
  ProtocolFeature.MQ,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.BACKEND_REQ,
  ProtocolFeature.CONFIG,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
]);
