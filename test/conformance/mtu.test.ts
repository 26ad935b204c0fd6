import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_NET_F_MTU } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import { TestNic } from '../support/test-nic.ts';

const MTU = 1500;
const FITTING = MTU + 14;
const LONG = FITTING + 1;

describe('the MTU of a VF', () => {
  let lab: TestNic;

  afterEach(() => lab.finish());

  it.each([
    ['that its driver negotiates is enforced', [VIRTIO_NET_F_MTU], [FITTING], { 'rx.mtu': 1 }],
    ['that its driver does not negotiate is not enforced', [], [LONG, FITTING], {}],
  ])('%s (5.1.4.1)', async (_, features, expected, drops) => {
    lab = await TestNic.start({ vf: { mtu: MTU } });
    const sender = await lab.connect(0, { frameSizeMax: 2048 });
    const options = { frameSizeMax: 2048, features: [...MODERN_FEATURES, ...features] };
    const receiver = await lab.connect(1, options);
    const frames = [LONG, FITTING].map((length) =>
      plainFrame({ to: lab.mac(1), from: lab.mac(0) }, length),
    );
    await sender.sendAll(frames);
    const received = await receiver.waitReceived(expected.length);
    await sender.waitTransmitted();
    expect(received.map(({ length }) => length)).toEqual(expected);
    expect(lab.drops(1)).toEqual(drops);
  });
});
