import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { inBackground, onFailure } from '../../src/background.ts';
import { DeathRecord } from '../../src/processor/death-record.ts';
import type { Message } from '../../src/processor/mailbox.ts';
import { ProcessorSet } from '../../src/processor/processor-set.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest } from '../../src/testing/mock-guest.ts';
import { FailingCalls } from '../support/failing-calls.ts';
import { FAILING_CALLS, type FailingCall } from '../support/failing-calls-record.ts';
import { openFdCount } from '../support/file-descriptors.ts';
import { TestNic } from '../support/test-nic.ts';
import { waitUntil } from '../support/wait-until.ts';

// The kernel refuses the n-th call of a processor's thread during a request, for each n. The
// request fails with a reason, nothing of it is left, and no other guest notices. A thread that
// cannot remove a mapping ends and is replaced.

const NAMES: Readonly<Record<FailingCall, RegExp>> = {
  mmap: /mmap failed/,
  epollControl: /epoll_ctl failed/,
  epollCreate: /epoll_create1 failed/,
  socket: /socket failed/,
  eventfd: /eventfd failed/,
};

let calls: FailingCalls;
let lab: TestNic;
let processors: ProcessorSet;
let bystanders: MockGuest[];
const failures: string[] = [];
const stopListening = onFailure(({ what, error }) => failures.push(`${what}: ${error.message}`));

beforeAll(() => {
  calls = new FailingCalls();
  // The processors die more often here than one that would still be replaced.
  vi.spyOn(DeathRecord.prototype, 'note').mockReturnValue(0);
});

afterAll(() => {
  vi.restoreAllMocks();
  calls.close();
  stopListening();
});

async function startLab(): Promise<void> {
  const start = vi.spyOn(ProcessorSet.prototype, 'start');
  lab = await TestNic.start({ vfs: 3 });
  processors = start.mock.contexts.at(-1) as ProcessorSet;
  bystanders = [await lab.connect(0), await lab.connect(1)];
  await pass();
}

async function pass(): Promise<void> {
  const frame = plainFrame({ to: lab.mac(1), from: lab.mac(0) }, 200);
  bystanders[0]?.send(frame);
  expect(Buffer.from((await bystanders[1]?.nextFrame()) ?? [])).toEqual(Buffer.from(frame));
}

/** Repeats some work, and each time another one of its calls fails, until all have. */
async function withEach(name: FailingCall, work: () => Promise<void>): Promise<void> {
  for (let number = 1; ; number++) {
    const before = openFdCount();
    calls.arm(name, number);
    await work();
    const count = calls.disarm();
    await pass();
    const state = `${name} ${number} of ${count}`;
    expect(openFdCount(), state).toBe(before);
    // A removal cannot be refused, so an error in one is reported.
    for (const failure of failures.splice(0)) expect(failure, state).toMatch(NAMES[name]);
    if (count < number) return; // there is no such call
  }
}

/** A guest connects to VF 2, sends a frame and disconnects. */
async function visit(name: FailingCall): Promise<void> {
  const guest = await lab.connect(2);
  const { state, lastFault, rings } = lab.nic.vf('vf2');
  if (state === 'ready') {
    guest.send(plainFrame({ to: lab.mac(0), from: lab.mac(2) }, 200));
    await settled(guest);
  } else {
    expect({ state, lastFault, rings }).toMatchObject({ state: 'faulted' });
    expect(lastFault).toMatch(NAMES[name]);
  }
  await lab.disconnect(2, guest);
}

/** Resolves when the guest's frame has been completed or its ring has been set aside. */
function settled(guest: MockGuest): Promise<void> {
  return waitUntil(
    () => guest.queues.pair(0).transmit.outstanding === 0 || lab.nic.vf('vf2').state === 'faulted',
    () => lab.nic.vf('vf2'),
  );
}

describe.each(FAILING_CALLS)('a processor for which %s fails', (name) => {
  beforeAll(startLab);
  afterAll(() => lab.finish());

  it('serves a guest that connects, sends and disconnects, or says why not', async () => {
    await withEach(name, () => visit(name));
    await visit(name);
    expect(lab.nic.vf('vf2')).toMatchObject({ state: 'down' });
  });

  it('serves an uplink, or says why not', async () => {
    await withEach(name, async () => {
      const { state, reason } = await lab.nic.addUplink({ name: 'up', type: 'loopback' });
      if (state !== 'up') expect(reason).toMatch(NAMES[name]);
      await lab.nic.removeUplink('up');
    });
    expect(await lab.nic.addUplink({ name: 'up', type: 'loopback' })).toMatchObject({
      state: 'up',
    });
    await lab.nic.removeUplink('up');
  });

  it('is replaced, and functions that cannot continue are set aside by name', async () => {
    await withEach(name, async () => {
      const { restarts } = lab.nic.stats().processors[0] ?? { restarts: 0 };
      // Kills it as a bug of ours would.
      inBackground('kill', processors.post(0, undefined as unknown as Message));
      await waitUntil(
        () => (lab.nic.stats().processors[0]?.restarts ?? 0) > restarts && !isRecovering(),
        () => lab.nic.stats().processors,
      );
      calls.disarm();
      for (const number of bystanders.keys()) await mend(number, name);
    });
  });
});

function isRecovering(): boolean {
  return lab.nic.vfs().some(({ recovering }) => recovering !== undefined);
}

/** A ring that was set aside starts again when its guest reconnects. */
async function mend(number: number, name: FailingCall): Promise<void> {
  const info = () => lab.nic.vf(`vf${number}`);
  const guest = bystanders[number];
  if (guest === undefined || info().rings.every(({ state }) => state !== 'faulted')) return;
  await waitUntil(() => info().state === 'faulted', info);
  expect(info().lastFault).toMatch(NAMES[name]);
  await lab.disconnect(number, guest);
  bystanders[number] = await lab.connect(number);
}
