import { beforeEach, describe, expect, it } from 'vitest';
import { RING_ENABLED } from '../../layout/virtqueue.ts';
import type { Pin } from '../memory/pins.ts';
import { ENOMEM } from '../os/constants.ts';
import { LinearMemoryHole } from '../os/linear-memory.ts';
import { SystemError } from '../os/system-error.ts';
import type { Message } from './mailbox.ts';
import { MessageHandler, type Parts } from './message-handler.ts';

const PART_SIZE = 0x1000;

let calls: string[];
/** Offsets of pins that are mapped. */
let mapped: Set<number>;
/** Offset of the pin for which the kernel has no room, or −1. */
let refused: number;
/** Unmapping it fails, too. */
let isStuck: boolean;
let handler: MessageHandler;

beforeEach(() => {
  calls = [];
  mapped = new Set();
  refused = -1;
  isStuck = false;
  const noted =
    (name: string) =>
    (ring: number): void => {
      calls.push(`${name} ${ring}`);
    };
  const space = {
    mapPin: ({ pinOffset }: Pin) => {
      if (pinOffset !== refused) mapped.add(pinOffset);
      else if (isStuck) throw new LinearMemoryHole(pinOffset, PART_SIZE, ENOMEM);
      else throw new SystemError('mmap', ENOMEM);
    },
    unmapPin: ({ pinOffset }: Pin) => mapped.delete(pinOffset),
    addressOf: ({ pinOffset }: Pin) => pinOffset,
  };
  handler = new MessageHandler({
    space,
    firmware: {
      attachRing: noted('attach'),
      detachRing: noted('detach'),
      changeNode: noted('promise'),
    },
    translations: { watch: noted('watch'), unwatch: () => undefined },
    requestQueues: { attach: noted('request'), detach: () => undefined },
    waiter: { add: (_: number, ring: number) => noted('await')(ring), remove: () => undefined },
    calls: { set: () => undefined },
  } as unknown as Parts);
});

function attach(ring: number): Message {
  const pin = (part: number) => {
    const pinOffset = (ring * 3 + part) * PART_SIZE;
    return { pinOffset, lengthBytes: PART_SIZE, fd: 3, fileOffset: 0, partOffset: 0 };
  };
  return {
    ...{ kind: 'attach-ring', ring, owner: 0, role: 'transmit', kickFd: 4, call: null },
    state: RING_ENABLED,
    pins: { descriptors: pin(0), avail: pin(1), used: pin(2) },
    looksAhead: false,
    resumesFromUsed: false,
  };
}

it('the firmware hears of a promise that has changed', () => {
  expect(handler.handle({ kind: 'promise-changed', node: 7 })).toBe(true);
  expect(calls).toEqual(['promise 7']);
});

describe('a ring for which the kernel has no room', () => {
  it.each([0, 1, 2])('leaves nothing attached, whichever part fails: %i', (part) => {
    handler.handle(attach(1));
    calls.length = 0;
    const before = [...mapped];
    refused = (2 * 3 + part) * PART_SIZE;
    expect(() => handler.handle(attach(2))).toThrow('mmap failed: ENOMEM');
    expect([...mapped], 'nothing of it stays, nothing of others goes').toEqual(before);
    expect(calls).toEqual(['detach 2']);
  });

  it('can be attached once there is room again', () => {
    refused = 2 * PART_SIZE;
    expect(() => handler.handle(attach(0))).toThrow('ENOMEM');
    refused = -1;
    calls.length = 0;
    expect(handler.handle(attach(0))).toBe(true);
    expect(calls).toEqual(['attach 0', 'await 0']);
    expect([...mapped]).toEqual([0, PART_SIZE, 2 * PART_SIZE]);
  });

  it('ends the thread if a hole remains, and touches nothing more', () => {
    refused = PART_SIZE;
    isStuck = true;
    expect(() => handler.handle(attach(0))).toThrow(LinearMemoryHole);
    expect(calls).toEqual([]);
  });
});
