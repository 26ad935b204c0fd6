import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF } from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  PACKED_WRAP,
  RING_LAST_AVAIL,
} from '../../layout/virtqueue.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import type { PackedDescriptor } from '../../src/testing/packed-queue.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const NEXT = DESCRIPTOR_F_NEXT;
const WRITE = DESCRIPTOR_F_WRITE;

/** A chain of empty descriptors. */
function emptyChain(length: number, flags = 0): PackedDescriptor[] {
  return Array.from({ length }, (_, index) => ({
    address: 0n,
    length: 0,
    flags: flags | (index < length - 1 ? NEXT : 0),
    id: index,
  }));
}

describe('a packed ring', () => {
  let wire: FirmwareWire;

  afterEach(() => {
    wire.close();
  });

  it('stays within its descriptors for chains that overlap earlier ones', () => {
    const size = 256;
    wire = new FirmwareWire([{ packed: true, queueSize: size, ringBase: 100 }, {}]);
    const ring = wire.guest(0).packedRing(1);
    // 200 slots from position 100, then a chain that wraps into the first one.
    ring.offerRaw(...emptyChain(200));
    ring.offerRaw(...emptyChain(size));
    for (let turns = 0; turns < 8; turns++) wire.host.turn();
    expect(wire.host.ringWord(0, 1, RING_LAST_AVAIL) & ~PACKED_WRAP).toBeLessThan(size);
    expect(wire.drops(0, 'tx', 'headerShort')).toBeLessThanOrEqual(2);
  });

  it('stays within its descriptors for a batch of chains longer than the ring', () => {
    const size = 256;
    wire = new FirmwareWire([{ packed: true, queueSize: size, ringBase: 100 }, {}]);
    const ring = wire.guest(0).packedRing(1);
    ring.offerRaw(...emptyChain(200));
    const second = ring.nextAvail;
    // The second chain overlaps the first, whose first slots now have the NEXT flag of a later lap.
    for (let i = 0; i < size; i++) {
      const place = ring.placeBehind(second, i);
      const old = ring.readDescriptor(place & ~PACKED_WRAP);
      const flags = i === 0 ? NEXT | ring.availableBits(place) : old.flags | NEXT;
      ring.writeDescriptor(place & ~PACKED_WRAP, { ...old, flags });
    }
    const last = ring.placeBehind(second, 254) & ~PACKED_WRAP;
    const { flags, ...rest } = ring.readDescriptor(last);
    ring.writeDescriptor(last, { ...rest, flags: flags & ~NEXT });
    for (let turns = 0; turns < 8; turns++) wire.host.turn();
    expect(wire.host.ringWord(0, 1, RING_LAST_AVAIL) & ~PACKED_WRAP).toBeLessThan(size);
  });

  it('records no more buffers for one frame than there is room for', () => {
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF];
    wire = new FirmwareWire([{}, { packed: true, queueSize: 4096, features }, {}]);
    wire.post(2);
    const ring = wire.guest(1).packedRing(0);
    const empty = { address: 0n, length: 0, flags: WRITE, id: 0x7000 };
    for (let i = 0; i < 4096; i++) ring.offerRaw(empty);
    // The frame is sent in pieces to both: the first receiver must not affect the second one.
    const frame = plainFrame({ to: BROADCAST, from: wire.mac(0) }, 500);
    wire.send(0, frame, 'split');
    wire.run();
    expect(wire.allDrops(1)).toEqual({ 'rx.chainLength': 1 });
    const received = wire.received(2);
    expect(received.length).toBe(1);
    expect(Buffer.from(received[0] ?? []).equals(frame)).toBe(true);
  });

  it('measures no more chains than fit into a batch', () => {
    wire = new FirmwareWire([{ packed: true, queueSize: 4096 }, {}]);
    const ring = wire.guest(0).packedRing(1);
    for (let i = 0; i < 4; i++) ring.offerRaw(...emptyChain(1024));
    for (let turns = 0; turns < 8; turns++) wire.host.turn();
    expect(wire.drops(0, 'tx', 'headerShort')).toBe(4);
  });
});
