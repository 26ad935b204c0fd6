import { ProtocolFeature } from './message.ts';

/** What every kind of device offers; a kind may add to it. */
export const OFFERED_PROTOCOL_FEATURES = [
  ProtocolFeature.MQ,
  ProtocolFeature.REPLY_ACK,
  ProtocolFeature.BACKEND_REQ,
  ProtocolFeature.CONFIG,
  ProtocolFeature.RESET_DEVICE,
  ProtocolFeature.CONFIGURE_MEM_SLOTS,
  ProtocolFeature.STATUS,
].reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
