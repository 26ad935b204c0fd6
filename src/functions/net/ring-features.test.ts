import { describe, expect, it } from 'vitest';
import {
  NET_HEADER_SIZE,
  NET_HEADER_SIZE_LEGACY,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../../layout/virtio.ts';
import { RING_F_GRO } from '../../../layout/virtqueue.ts';
import { groFlag, headerSize } from './ring-features.ts';

const bit = (number: number) => 1n << BigInt(number);

describe('features of a network device', () => {
  it.each([
    { features: [], flag: 0 },
    { features: [VIRTIO_NET_F_GUEST_CSUM], flag: 0 },
    { features: [VIRTIO_NET_F_GUEST_TSO4], flag: 0 },
    { features: [VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_HOST_TSO4], flag: 0 },
    { features: [VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO4], flag: RING_F_GRO },
    { features: [VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_GUEST_TSO6], flag: RING_F_GRO },
  ])('enable GRO only for a guest that accepts super-frames: $features', (one) => {
    expect(groFlag(one.features.reduce((sum, number) => sum | bit(number), 0n))).toBe(one.flag);
  });

  it('make the header 12 bytes with VERSION_1 or MRG_RXBUF, else 10', () => {
    expect(headerSize(0n)).toBe(NET_HEADER_SIZE_LEGACY);
    expect(headerSize(bit(VIRTIO_F_EVENT_IDX))).toBe(NET_HEADER_SIZE_LEGACY);
    expect(headerSize(bit(VIRTIO_F_VERSION_1))).toBe(NET_HEADER_SIZE);
    expect(headerSize(bit(VIRTIO_NET_F_MRG_RXBUF))).toBe(NET_HEADER_SIZE);
  });
});
