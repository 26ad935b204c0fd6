import { beforeEach, describe, expect, it } from 'vitest';
import * as memory from '../../layout/memory.ts';
import { REGISTER_INTERRUPT_DUE_COUNT, REGISTER_NOW_MICROSECONDS } from '../../layout/processor.ts';
import {
  RING_DEFER_MICROSECONDS,
  RING_DEFER_PACKETS,
  RING_RECORD_SIZE,
} from '../../layout/virtqueue.ts';
import { macOf, plainFrame } from '../../src/testing/frames.ts';
import { GuestQueues } from '../../src/testing/guest-queues.ts';
import { FirmwareHost } from '../support/firmware-host.ts';

// Interrupts on a clock that the test sets, microsecond by microsecond.

const RECEIVE = 32; // the receive ring of VF 1

let host: FirmwareHost;
let sender: GuestQueues;
let receiver: GuestQueues;

beforeEach(() => {
  host = new FirmwareHost();
  sender = new GuestQueues({ seed: 1 });
  receiver = new GuestQueues({ seed: 2 });
  host.addGuest(0, sender, macOf(1));
  host.addGuest(1, receiver, macOf(2));
  const { receive } = receiver.pair(0);
  receive.post();
  receive.ring.publish();
  receive.ring.armCall();
  sender.pair(0).transmit.ring.suppressCall();
  return () => {
    sender.close();
    receiver.close();
  };
});

function setCoalescing(packets: number, microseconds: number): void {
  const record = memory.SHARED_BASE + memory.SHARED_RINGS + RECEIVE * RING_RECORD_SIZE;
  host.view.setUint32(record + RING_DEFER_PACKETS, packets, true);
  host.view.setUint32(record + RING_DEFER_MICROSECONDS, microseconds, true);
}

/** Delivers frames at a given time. Returns how often the guest was interrupted. */
function deliverAt(microseconds: number, frames: number): number {
  const { transmit } = sender.pair(0);
  for (let index = 0; index < frames; index++) {
    transmit.trySend(plainFrame({ to: macOf(2), from: macOf(1) }, 100, index));
  }
  transmit.ring.publish();
  return callsAt(microseconds);
}

function callsAt(microseconds: number): number {
  host.setRegister(REGISTER_NOW_MICROSECONDS, microseconds >>> 0);
  host.signals.length = 0;
  host.run();
  sender.pair(0).transmit.reclaim();
  const calls = host.signals.filter((ring) => ring === RECEIVE).length;
  if (calls > 0) {
    while (receiver.pair(0).receive.take() !== null);
    receiver.pair(0).receive.ring.armCall();
  }
  return calls;
}

function deferredCount(): number {
  return host.register(REGISTER_INTERRUPT_DUE_COUNT);
}

describe('coalescing', () => {
  it('interrupts after each turn with packets if it is not set', () => {
    expect(deliverAt(100, 1)).toBe(1);
    expect(deliverAt(101, 3)).toBe(1);
    expect(deferredCount()).toBe(0);
  });

  it('interrupts when the count is reached, and starts counting again', () => {
    setCoalescing(10, 1000);
    expect(deliverAt(100, 9)).toBe(0);
    expect(deferredCount()).toBe(1);
    expect(deliverAt(101, 1)).toBe(1);
    expect(deferredCount()).toBe(0);
    expect(deliverAt(102, 4)).toBe(0);
    expect(deliverAt(103, 4)).toBe(0);
    expect(deliverAt(104, 4)).toBe(1);
  });

  it('interrupts when the time is over, measured from the first packet', () => {
    setCoalescing(100, 1000);
    expect(deliverAt(5000, 1)).toBe(0);
    expect(deliverAt(5500, 1)).toBe(0);
    expect(callsAt(5999)).toBe(0);
    expect(callsAt(6000)).toBe(1);
    expect(deferredCount()).toBe(0);
    expect(deliverAt(7000, 1)).toBe(0);
    expect(callsAt(8000)).toBe(1);
  });

  it('works when the clock wraps', () => {
    setCoalescing(100, 1000);
    expect(deliverAt(2 ** 32 - 500, 1)).toBe(0);
    expect(callsAt(400)).toBe(0);
    expect(callsAt(500)).toBe(1);
  });

  it('delivers deferred interrupts immediately when it is turned off', () => {
    setCoalescing(100, 1000);
    expect(deliverAt(100, 5)).toBe(0);
    setCoalescing(0, 0);
    expect(callsAt(101)).toBe(1);
  });

  it('drops the deferred interrupt of a detached ring, and defers one again once it is back', () => {
    setCoalescing(100, 1000);
    for (let round = 0; round < 5; round++) {
      deliverAt(100, 1);
      host.firmware.detachRing(RECEIVE);
      host.attach(1, 0);
      setCoalescing(100, 1000);
    }
    expect(deferredCount()).toBeLessThanOrEqual(1);
    host.firmware.detachRing(RECEIVE);
    host.run();
    expect(deferredCount()).toBe(0);
  });
});
