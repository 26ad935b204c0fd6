import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { TestNic } from '../support/test-nic.ts';
import { ALL_FEATURES, PLAIN_FEATURES } from './feature-sets.ts';
import { netHeaderBytes } from './packets.ts';
import { burst, type Flow } from './tcp-streams.ts';

const FRAMES = 30;
const FLOW: Flow = {
  ...{ version: 4, tags: 0, hasTimestamps: false, step: 1 },
  ...{ sequence: 1, id: 1, size: 500 },
};

// The whole path of the setting: configuration, ring record, firmware.
describe('GRO on a whole NIC', () => {
  let lab: TestNic;
  let sender: MockGuest;

  beforeEach(async () => {
    lab = await TestNic.start();
    sender = await lab.connect(0, { features: ALL_FEATURES });
  });
  afterEach(() => lab.finish());

  /** Sends ten bursts, all of whose data must arrive. Returns the number of joined frames. */
  async function merged(receiver: MockGuest): Promise<number> {
    const before = lab.counter(1, 'rx.groMerged');
    const steps = Array.from({ length: FRAMES }, () => ({
      ...{ flow: 0, share: 1, change: 'none' as const },
    }));
    for (let round = 0; round < 10; round++) {
      const packets = burst({ to: lab.mac(1), from: lab.mac(0) }, [FLOW], steps);
      const { transmit } = sender.queues.pair(0);
      for (const { frame, header } of packets) {
        expect(transmit.trySend(frame, 'shared', netHeaderBytes(header))).toBe(true);
      }
      sender.flush();
      await sender.waitTransmitted();
      receiver.poll();
      const data = receiver.inbox.drain().map((frame) => frame.subarray(54));
      const sent = packets.map(({ frame }) => frame.subarray(54));
      expect(Buffer.concat(data).equals(Buffer.concat(sent))).toBe(true);
    }
    return lab.counter(1, 'rx.groMerged') - before;
  }

  it('is on, and can be turned off and on while the guest runs', async () => {
    let disconnects = 0;
    lab.nic.on('disconnect', () => {
      disconnects += 1;
    });
    const receiver = await lab.connect(1, { features: ALL_FEATURES, frameSizeMax: 65549 });
    expect(await merged(receiver)).toBeGreaterThan(FRAMES);
    expect(await lab.nic.setVf('vf1', { gro: false })).toMatchObject({ gro: false });
    expect(await merged(receiver)).toBe(0);
    await lab.nic.setVf('vf1', { gro: true });
    expect(await merged(receiver)).toBeGreaterThan(FRAMES);
    expect(disconnects).toBe(0);
  });

  it('does nothing for a guest that accepts no super-frames', async () => {
    const receiver = await lab.connect(1, { features: PLAIN_FEATURES });
    expect(await merged(receiver)).toBe(0);
  });
});
