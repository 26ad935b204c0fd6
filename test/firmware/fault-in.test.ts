import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FAULT_IN_NS, PAGE_WAIT_STREAK_MAX } from '../../layout/limits.ts';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { DESCRIPTOR_F_NEXT } from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const HEADER = 12;
const PAGE = 4096;
const PIECES = 64;
const PIECE = 20;
/** What the kernel takes for a page, and for one that is there. */
const SLOW_NS = 30_000;
const QUICK_NS = 20;
/** A look at the clock where the kernel has none that programs can read. */
const SLOW_LOOK_NS = 3000;

/** Guest 0 sends a frame in many pages to guest 2; guest 1 sends to guest 3. */
const [DEAR, PLAIN] = [0, 1];
const receiverOf = (guest: number) => guest + 2;

describe('a frame in many pages that the kernel has yet to find', () => {
  let wire: FirmwareWire;
  /** Between two looks at the clock. */
  let looks: number[];
  let lookNs: number;

  beforeEach(() => {
    const rings = { queueSize: 256, layout: 'shared' as const, indirectShare: 0 };
    const memory = { regions: [{ guestAddress: 0, sizeBytes: 0x400000 }], gapBytesMax: 0 };
    const guest = { ...rings, memory, features: [VIRTIO_F_VERSION_1] };
    wire = new FirmwareWire([guest, guest, guest, guest]);
    wire.postAll();
    for (const from of [DEAR, PLAIN]) wire.send(from, frameOf(from));
    wire.host.settle(); // maps all windows
    for (const from of [DEAR, PLAIN]) wire.received(receiverOf(from));
    looks = [];
    lookNs = QUICK_NS;
    wire.host.costOfLook = () => {
      looks.push(lookNs);
      return lookNs;
    };
  });

  afterEach(() => wire.close());

  function frameOf(from: number): Uint8Array {
    const addresses = { to: wire.mac(receiverOf(from)), from: wire.mac(from) };
    return plainFrame(addresses, PIECES * PIECE - HEADER, from);
  }

  function sendInPages(frames = 1, pieces = PIECES): Uint8Array {
    const { memory } = wire.guest(DEAR);
    const ring = wire.guest(DEAR).ring(1);
    const frame = frameOf(DEAR).subarray(0, pieces * PIECE - HEADER);
    const packet = new Uint8Array(HEADER + frame.length);
    packet.set(frame, HEADER);
    for (let i = 0; i < frames * pieces; i++) {
      const span = memory.spanAt(0x200000 + i * PAGE, PIECE);
      const from = (i % pieces) * PIECE;
      memory.bytes.set(packet.subarray(from, from + PIECE), span.offset);
      const flags = i % pieces < pieces - 1 ? DESCRIPTOR_F_NEXT : 0;
      const at = { address: BigInt(span.address), length: PIECE, flags, next: i + 1 };
      ring.writeDescriptor(i, at);
      if (i % pieces === 0) ring.offerRaw(i);
    }
    ring.publish();
    return frame;
  }

  it('is taken at once if they are there', () => {
    const frame = sendInPages();
    wire.host.turn();
    expect(wire.received(receiverOf(DEAR))).toEqual([frame]);
  });

  it('is taken when all are there, while others go on', () => {
    const frame = sendInPages();
    lookNs = SLOW_NS;
    for (let turn = 0; turn < 20; turn++) {
      wire.send(PLAIN, frameOf(PLAIN));
      looks.length = 0;
      wire.host.turn();
      wire.host.turn();
      expect(wire.received(receiverOf(PLAIN))).toEqual([frameOf(PLAIN)]);
      const longest = looks.reduce((sum, one) => sum + one, 0);
      expect(longest, 'of two turns').toBeLessThan(2 * FAULT_IN_NS + 12 * SLOW_NS);
    }
    expect(wire.received(receiverOf(DEAR))).toEqual([]);
    expect(wire.host.stats().vfs[DEAR]?.tx.pageWaits).toBeGreaterThan(20);
    lookNs = QUICK_NS;
    wire.host.work();
    expect(wire.received(receiverOf(DEAR))).toEqual([frame]);
    expect(wire.allDrops(DEAR)).toEqual({});
  });

  it('is taken once they are there, even if each look at the clock takes long', () => {
    const frame = sendInPages();
    lookNs = SLOW_NS;
    wire.host.turn();
    expect(wire.received(receiverOf(DEAR))).toEqual([]);
    lookNs = SLOW_LOOK_NS;
    wire.host.work();
    expect(wire.received(receiverOf(DEAR))).toEqual([frame]);
  });

  it('is taken some day, even if its pages are gone again at each visit', () => {
    const frame = sendInPages();
    lookNs = SLOW_NS;
    let turns = 0;
    for (; wire.received(receiverOf(DEAR)).length === 0; turns++) wire.host.turn();
    expect(turns).toBeGreaterThan(PAGE_WAIT_STREAK_MAX / 10);
    expect(turns).toBeLessThanOrEqual(PAGE_WAIT_STREAK_MAX + 1);
    expect(frame.length).toBeGreaterThan(0);
  });

  it('counts with those before it', () => {
    const frames = 12;
    const pieces = 15; // each alone is below what is asked for
    sendInPages(frames, pieces);
    lookNs = SLOW_NS;
    wire.host.turn();
    expect(wire.received(receiverOf(DEAR)).length).toBeLessThan(3);
    wire.host.work();
    expect(wire.allDrops(DEAR)).toEqual({});
    expect(wire.host.stats().vfs[DEAR]?.tx.packets).toBe(1 + frames);
  });
});
