// heddle/testing: guests without a VMM, for tests of vhost-user back ends. See docs/testing-kit.md.

export type { Answer } from './control-queue.ts';
export type { DriverQueue, DriverQueueOptions } from './driver-queue.ts';
export {
  type Addresses,
  arpRequest,
  BROADCAST,
  ethernetFrame,
  isIntact,
  MULTICAST,
  macBytes,
  macOf,
  macText,
  plainFrame,
  readUdpTag,
  type UdpFrameOptions,
  type UdpTag,
  udpFrame,
} from './frames.ts';
export { FrontEnd, FrontEndListener, RequestRefused } from './front-end.ts';
export {
  GuestMemory,
  type GuestMemoryOptions,
  type GuestRegion,
  type Span,
} from './guest-memory.ts';
export { type GuestOptions, GuestQueues, MODERN_FEATURES, type QueuePair } from './guest-queues.ts';
export {
  addRegion,
  announceDriver,
  closeFds,
  DEFAULT_PROTOCOL_FEATURES,
  enableRing,
  type Negotiated,
  negotiate,
  type RingFds,
  removeRegion,
  shareMemory,
  startRing,
  stopRing,
} from './handshake.ts';
export type { Backlog } from './inbox.ts';
export { MockGuest, type MockGuestOptions, type Orphan } from './mock-guest.ts';
export { type Miss, MockIommu, type Policy } from './mock-iommu.ts';
export { type PackedDescriptor, PackedQueue } from './packed-queue.ts';
export { Random } from './random.ts';
export type { Layout } from './slot.ts';
export { SplitQueue } from './split-queue.ts';
