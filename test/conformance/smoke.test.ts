import { afterEach, describe, expect, it } from 'vitest';
import { plainFrame } from '../../src/testing/frames.ts';
import { TestNic } from '../support/test-nic.ts';

describe('two guests on one NIC', () => {
  let lab: TestNic | undefined;

  afterEach(async () => {
    await lab?.close();
    lab = undefined;
  });

  it('exchange frames, whether or not the processor sleeps', async () => {
    lab = await TestNic.start();
    const [first, second] = [await lab.connect(0), await lab.connect(1)];
    for (let i = 0; i < 300; i++) {
      const ping = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 60 + i, i);
      const pong = plainFrame({ to: lab.mac(0), from: lab.mac(1) }, 60 + i, i);
      first.send(ping);
      expect(Buffer.from(await second.nextFrame()).equals(ping)).toBe(true);
      second.send(pong);
      expect(Buffer.from(await first.nextFrame()).equals(pong)).toBe(true);
    }
    await first.waitTransmitted();
    await second.waitTransmitted();
    await lab.untilBalanced();
    expect(lab.counter(0, 'tx.forwarded')).toBe(300);
    expect(lab.drops(0)).toEqual({});
  });
});
