import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { macBytes } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { missingForTaps, TapPair } from '../support/tap.ts';
import { CASES } from './cases.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { difference, netHeaderBytes, type Packet } from './packets.ts';
import { finishedFrames } from './reference-frames.ts';

const reason = missingForTaps();
if (reason !== '') console.log(`skipped: ${reason}`);

// The same bytes with the same virtio-net header pass through the kernel and through the firmware.
// Both must produce the frames of the reference.
describe('segmentation and checksums equal the kernel’s', () => {
  let taps: TapPair;
  let wire: FirmwareWire;

  beforeEach(({ skip }) => skip(reason !== '', reason));
  beforeAll(() => {
    if (reason !== '') return;
    taps = new TapPair(NET_HEADER_SIZE);
    const sender = { features: ALL_FEATURES, frameSizeMax: 65553, slots: 4 };
    const receiver = { features: PLAIN_FEATURES, queueSize: 1024, slots: 600, frameSizeMax: 9100 };
    wire = new FirmwareWire([sender, receiver]);
    wire.postAll();
  });
  afterAll(() => {
    taps?.close();
    wire?.close();
  });

  async function throughKernel(made: Packet): Promise<Uint8Array[]> {
    expect(taps.send(netHeaderBytes(made.header), made.frame), 'the kernel accepts it').toBe(true);
    const source = macBytes(wire.mac(0));
    const frames = await taps.received();
    return frames.filter((frame) => Buffer.compare(frame.subarray(6, 12), source) === 0);
  }

  function throughFirmware(made: Packet): Uint8Array[] {
    const { transmit } = wire.guest(0).pair(0);
    transmit.reclaim();
    transmit.trySend(made.frame, 'random', netHeaderBytes(made.header));
    transmit.ring.publish();
    wire.run();
    return wire.received(1);
  }

  for (const { name, make } of CASES) {
    it(name, async () => {
      const made = make({ to: wire.mac(1), from: wire.mac(0) });
      const kernel = await throughKernel(made);
      expect(difference(kernel, finishedFrames(made, kernel)), 'kernel and reference').toBe('');
      const ours = throughFirmware(made);
      expect(wire.allDrops(0)).toEqual({});
      expect(difference(ours, finishedFrames(made, ours)), 'firmware and reference').toBe('');
      expect(ours.length, 'frames').toBe(kernel.length);
    });
  }
});
