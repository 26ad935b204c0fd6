import { featureSet } from '../virtqueue/features.ts';
import { ProtocolFeature } from './message.ts';

/** Offered by every kind of device; a kind may add more (`Device.protocolFeatures`). */
export const OFFERED_PROTOCOL_FEATURES = featureSet([
  ProtocolFeature.MQ,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.BACKEND_REQ,
  ProtocolFeature.CONFIG,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
]);
