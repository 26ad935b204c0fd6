import { writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SLOT_COUNT_MAX } from '../../layout/memory.ts';
import { PROCESSOR_SLEEPS, PROCESSOR_SLOTS } from '../../layout/processor.ts';
import {
  DESCRIPTOR_SIZE,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_FLAGS,
  RING_F_PACKED,
  RING_FAULT_PLACE,
  RING_FLAGS,
} from '../../layout/virtqueue.ts';
import { openFdCount } from '../../test/support/file-descriptors.ts';
import { RingOnProcessor } from '../../test/support/ring-on-processor.ts';
import { SharedState } from '../state/shared-state.ts';
import { type Watch, watchProcessor } from '../watchdog/watchdog.ts';
import { readFirmware } from './firmware.ts';
import type { Message } from './mailbox.ts';
import { type Death, Processor } from './processor.ts';

const SETTINGS = { index: 0, processorCount: 1, macAgeSeconds: 300, cpu: null };

let shared: SharedState;
let processor: Processor;
let death: Promise<Death>;

function start(firmware = readFirmware()): void {
  death = new Promise((resolve) => {
    processor = new Processor({ ...SETTINGS, firmware }, shared, {
      describeRing: String,
      onRingFault: () => undefined,
      onRequest: () => undefined,
      onUplinkLost: () => undefined,
      onUplinkLoop: () => undefined,
      onUntranslated: () => undefined,
      onOutside: () => undefined,
      onDeath: resolve,
    });
  });
}

beforeEach(() => {
  shared = new SharedState();
});

afterEach(async () => {
  await processor.stop();
  shared.close();
});

describe('a processor', () => {
  it('starts, answers messages in order, and stops', async () => {
    start();
    await processor.started();
    const answers = await Promise.all([
      processor.post({ kind: 'set-port', port: 1, owner: 1, isUp: false }),
      processor.post({ kind: 'set-mac-age', seconds: 10 }),
      processor.post({ kind: 'forget-port', port: 1, firstSet: 0, sets: 1 }),
    ]);
    expect(answers).toEqual([true, true, true]);
    expect(shared.processorField(0, PROCESSOR_SLOTS)).toBe(SLOT_COUNT_MAX);
    await processor.stop();
    expect(
      await processor.post({ kind: 'forget-port', port: 1, firstSet: 0, sets: 1 }),
      'after its end',
    ).toBe(false);
  });

  it('takes messages that were posted before it started', async () => {
    start();
    expect(await processor.post({ kind: 'set-mac-age', seconds: 10 })).toBe(true);
  });

  it('sleeps when there is nothing to do, and wakes for a message', async () => {
    start();
    await processor.started();
    const sleeps = () => shared.processorField(0, PROCESSOR_SLEEPS);
    while (sleeps() === 0) await processor.post({ kind: 'set-mac-age', seconds: 10 });
    const before = sleeps();
    while (sleeps() === before) await processor.post({ kind: 'set-mac-age', seconds: 10 });
  });

  it('reports why a message failed, and keeps running', async () => {
    start();
    await processor.started();
    const broken = { kind: 'attach-ring', ring: 1, pins: {} } as unknown as Message;
    await expect(processor.post(broken)).rejects.toThrow();
    expect(await processor.post({ kind: 'set-mac-age', seconds: 10 })).toBe(true);
  });

  it('reports a ring fault by its number', async () => {
    start();
    await processor.started();
    const ring = new RingOnProcessor(shared, 3);
    shared.setRingField(ring.number, RING_FLAGS, RING_F_PACKED);
    // Its second descriptor is used, and there is no note of the ring's position.
    const flags = new Uint16Array([PACKED_F_AVAIL | PACKED_F_USED]);
    writeSync(ring.pins.descriptors.fd, flags, 0, 2, DESCRIPTOR_SIZE + PACKED_FLAGS);
    await expect(processor.post(ring.attach)).rejects.toMatchObject({ fault: RING_FAULT_PLACE });
    ring.close();
  });

  it('reports the ring when it traps, and answers false from then on', async () => {
    start();
    await processor.started();
    const ring = new RingOnProcessor(shared, 3);
    expect(await processor.post(ring.attach)).toBe(true);
    void processor.post(ring.injectTrap);
    expect(await death).toEqual({ ring: ring.number, message: 'memory access out of bounds' });
    expect(await processor.post({ kind: 'set-mac-age', seconds: 10 })).toBe(false);
    ring.close();
  });

  it('refuses what is not firmware', async () => {
    start(new Uint8Array([0, 1, 2]));
    await expect(processor.started()).rejects.toThrow(/WebAssembly.Module/);
    expect((await death).ring).toBe(-1);
  });

  it('refuses firmware that was built from another layout', async () => {
    // (module (import "env" "memory" (memory 65536 65536)) (global (export "layoutHash") i32 7))
    const hex = [
      '0061736d01000000',
      '021401' + '03656e76' + '066d656d6f7279' + '0201' + '808004' + '808004',
      '060601' + '7f00' + '41070b',
      '070e01' + '0a6c61796f757448617368' + '0300',
    ].join('');
    start(Uint8Array.from(Buffer.from(hex, 'hex')));
    await expect(processor.started()).rejects.toThrow(/built from another layout/);
    await death;
  });

  it('leaves nothing open if its thread cannot be watched', async () => {
    start();
    await processor.started();
    const watches: Watch[] = [];
    const watchAll = (): never => {
      for (;;) watches.push(watchProcessor({ name: 'another' }));
    };
    expect(watchAll).toThrow('threads to watch');
    const before = openFdCount();
    start();
    await expect(death).rejects.toThrow('threads to watch');
    expect(openFdCount()).toBe(before);
    for (const watch of watches) await watch.end();
  });

  it('closes its descriptors', async () => {
    start();
    await processor.started();
    const running = openFdCount();
    await processor.stop();
    expect(openFdCount()).toBeLessThan(running);
  });
});
