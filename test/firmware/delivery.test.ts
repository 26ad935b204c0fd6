import { afterEach, describe, expect, it } from 'vitest';
import { FRAME_SIZE_MAX } from '../../layout/limits.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import type { Layout } from '../../src/testing/slot.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const LAYOUTS: readonly Layout[] = ['shared', 'separate', 'split'];
const LENGTHS = [14, 15, 59, 60, 64, 65, 127, 128, 129, 1000, 1513, 1514];

/** The only frame that arrived. A Buffer, because a mismatch then gives a short message. */
function onlyFrame(frames: readonly Uint8Array[]): Buffer {
  expect(frames.length).toBe(1);
  return Buffer.from(frames[0] ?? []);
}

describe('delivery', () => {
  let wire: FirmwareWire | undefined;

  afterEach(() => {
    wire?.close();
    wire = undefined;
  });

  function exchange(options: GuestOptions, lengths: readonly number[], layout?: Layout): void {
    wire = new FirmwareWire([options, { ...options, seed: 77 }]);
    wire.postAll();
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      for (const length of lengths) {
        const frame = plainFrame({ to: wire.mac(to), from: wire.mac(from) }, length, length);
        expect(wire.send(from, frame, layout)).toBe(true);
        wire.run();
        expect(onlyFrame(wire.received(to)).equals(frame), `${length} bytes`).toBe(true);
      }
    }
    expect(wire.allDrops(0)).toEqual({});
    expect(wire.allDrops(1)).toEqual({});
  }

  for (const layout of LAYOUTS) {
    for (const receiveLayout of LAYOUTS) {
      it(`is byte-exact from ${layout} buffers into ${receiveLayout} ones`, () => {
        exchange({ receiveLayout, indirectShare: 0 }, LENGTHS, layout);
      });

      it(`is byte-exact from ${layout} buffers into ${receiveLayout} ones, indirect`, () => {
        exchange({ receiveLayout, indirectShare: 1 }, LENGTHS, layout);
      });
    }
  }

  it('serves a legacy guest: a header of ten bytes', () => {
    exchange({ features: [] }, LENGTHS);
    exchange({ features: [VIRTIO_F_INDIRECT_DESC] }, LENGTHS);
  });

  it('serves a legacy guest with mergeable buffers: a header of twelve', () => {
    exchange({ features: [VIRTIO_NET_F_MRG_RXBUF], bufferBytesMin: 40 }, LENGTHS);
  });

  it('spreads a frame over mergeable buffers, and reports their number', () => {
    const features = [VIRTIO_F_VERSION_1, VIRTIO_NET_F_MRG_RXBUF];
    exchange({ features, bufferBytesMin: 1, bufferBytesMax: 300, queueSize: 512 }, LENGTHS);
  });

  it('moves the longest possible frame', () => {
    const lengths = [9000, 65549, FRAME_SIZE_MAX];
    const big = { frameSizeMax: FRAME_SIZE_MAX, slots: 16 };
    exchange({ ...big, memory: { gapBytesMax: 4096 } }, lengths);
    const mergeable = { bufferBytesMin: 1000, bufferBytesMax: 2000, slots: 128 };
    exchange({ ...big, ...mergeable, frameSizeMax: FRAME_SIZE_MAX }, lengths.slice(0, 1));
  });

  it('translates between guests that negotiated different features', () => {
    const all = [
      VIRTIO_F_VERSION_1,
      VIRTIO_NET_F_MRG_RXBUF,
      VIRTIO_F_INDIRECT_DESC,
      VIRTIO_F_EVENT_IDX,
      VIRTIO_F_IN_ORDER,
    ];
    wire = new FirmwareWire([
      { features: all, bufferBytesMin: 64, bufferBytesMax: 200 },
      { features: [] },
      { features: [VIRTIO_F_VERSION_1] },
    ]);
    wire.postAll();
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [2, 0],
      [1, 0],
      [0, 2],
      [2, 1],
    ] as const) {
      const frame = plainFrame({ to: wire.mac(to), from: wire.mac(from) }, 1514, from * 8 + to);
      wire.send(from, frame);
      wire.run();
      expect(onlyFrame(wire.received(to)).equals(frame)).toBe(true);
    }
  });

  it('works with rings of every size, past the wrap of the index', () => {
    for (let queueSize = 8; queueSize <= 1024; queueSize *= 2) {
      wire?.close();
      const guest = { queueSize, ringBase: 65520, indirectShare: 1 };
      wire = new FirmwareWire([guest, guest]);
      wire.postAll();
      const frame = plainFrame({ to: wire.mac(1), from: wire.mac(0) }, 200, queueSize);
      for (let i = 0; i < Math.max(64, queueSize * 2); i++) {
        expect(wire.send(0, frame)).toBe(true);
        wire.run();
        expect(onlyFrame(wire.received(1)).equals(frame)).toBe(true);
      }
    }
  });
});
