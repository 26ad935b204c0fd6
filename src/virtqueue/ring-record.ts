import { COUNTER_PACKETS } from '../../layout/counters.ts';
import { VIRTIO_NET_F_MTU } from '../../layout/virtio.ts';
import {
  RING_FAULT,
  RING_FAULT_NONE,
  RING_FLAGS,
  RING_FLOOD_NEXT,
  RING_HEADER_SIZE,
  RING_HELD_SINCE,
  RING_HOLD_MICROSECONDS,
  RING_HOLD_PACKETS,
  RING_LAST_AVAIL,
  RING_LOCK,
  RING_MTU,
  RING_OFFLOADS,
  RING_SIGNALLED_PACKETS,
  RING_SIGNALLED_USED,
  RING_SIZE,
  RING_STATE,
  RING_USED_INDEX,
} from '../../layout/virtqueue.ts';
import type { ControlSettings } from '../functions/net/control-settings.ts';
import type { LifeCycle } from '../life-cycle.ts';
import type { RingRole } from '../processor/commands.ts';
import type { SharedState } from '../state/shared-state.ts';
import { RING_STATE_NUMBERS, type RingState } from './life-cycle.ts';
import {
  coalesceFlag,
  hasFeature,
  headerSize,
  type RingSetup,
  ringFlags,
  ringOffloads,
  startPlace,
} from './ring-setup.ts';

/** What the shared record of a ring says of it. */
interface RecordedRing {
  readonly queue: number;
  readonly number: number;
  readonly role: RingRole;
  readonly cycle: LifeCycle<RingState>;
  readonly setup: RingSetup;
  readonly features: bigint;
}

export interface RingSettings {
  guest: ControlSettings;
  /** Whether frames are joined (GRO), where the guest takes super-frames. */
  coalesces: boolean;
  /** What the guest takes for its MTU, if it negotiates one. */
  mtu: number;
}

/** Before a ring is attached anywhere: all of its record. */
export function writeRingRecord(
  shared: SharedState,
  ring: RecordedRing,
  settings: RingSettings,
): void {
  const { features } = ring;
  const place = startPlace(ring.setup.base, features);
  const fields: [number, number][] = [
    [RING_LOCK, 0],
    [RING_STATE, RING_STATE_NUMBERS[ring.cycle.state]],
    [RING_SIZE, ring.setup.size],
    [RING_LAST_AVAIL, place],
    [RING_USED_INDEX, place],
    [RING_SIGNALLED_USED, place],
    [RING_FAULT, RING_FAULT_NONE],
    [RING_HEADER_SIZE, headerSize(features)],
    [RING_SIGNALLED_PACKETS, shared.counter(ring.number, COUNTER_PACKETS) % 2 ** 32],
    [RING_HELD_SINCE, 0],
    [RING_FLOOD_NEXT, 0],
  ];
  for (const [field, value] of fields) shared.setRingField(ring.number, field, value);
  writeRingSettings(shared, ring, settings);
}

/** What its guest, or the operator, can change while it runs. */
export function writeRingSettings(
  shared: SharedState,
  ring: RecordedRing,
  settings: RingSettings,
): void {
  const { guest, coalesces, mtu } = settings;
  const isTransmit = ring.role === 'transmit';
  const features = isTransmit ? ring.features : guest.guestFeatures(ring.features);
  const isJoining = coalesces && ring.role === 'receive';
  const flags = ringFlags(features) | (isJoining ? coalesceFlag(features) : 0);
  shared.setRingField(ring.number, RING_FLAGS, flags);
  shared.setRingField(ring.number, RING_OFFLOADS, ringOffloads(features, isTransmit));
  const isLimited = ring.role === 'receive' && hasFeature(features, VIRTIO_NET_F_MTU);
  shared.setRingField(ring.number, RING_MTU, isLimited ? mtu : 0);
  if (ring.role === 'control') return;
  // With one of them 0, each packet is worth an interrupt (5.1.6.5.9.1).
  const { packets, microseconds } = guest.coalescingOf(ring.queue);
  shared.setRingField(ring.number, RING_HOLD_MICROSECONDS, microseconds);
  shared.setRingField(ring.number, RING_HOLD_PACKETS, microseconds === 0 ? 0 : packets);
}
