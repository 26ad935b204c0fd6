import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { checkSame } from '../../test/support/exchange.ts';
import { openDgramEnd } from '../../test/support/far-end.ts';
import { TestNic } from '../../test/support/test-nic.ts';
import { waitUntil } from '../../test/support/wait-until.ts';
import { inBackground } from '../background.ts';
import { DeathRecord } from '../processor/death-record.ts';
import type { Message } from '../processor/mailbox.ts';
import { ProcessorSet } from '../processor/processor-set.ts';
import { plainFrame } from '../testing/frames.ts';

// What a NIC reports when a processor cannot be replaced, and from then on.

let lab: TestNic;
let set: ProcessorSet;
const events: string[] = [];

beforeEach(async () => {
  const start = vi.spyOn(ProcessorSet.prototype, 'start');
  lab = await TestNic.start({ vfs: 2, processors: 2 });
  set = start.mock.contexts[0] as ProcessorSet;
  events.length = 0;
  lab.nic.on('fault', ({ vf, reason }) => events.push(`${vf} fault: ${reason}`));
  lab.nic.on('ready', ({ vf }) => events.push(`${vf} ready`));
  lab.nic.on('uplink-down', ({ uplink, reason }) => events.push(`${uplink} down: ${reason}`));
  lab.nic.on('internal-error', ({ reason }) => events.push(`NIC: ${reason}`));
});

afterEach(async () => {
  vi.restoreAllMocks();
  await lab.close();
});

/** Kills a processor as a bug of ours would, once more than it is replaced. */
async function breakProcessor(index: number): Promise<void> {
  vi.spyOn(DeathRecord.prototype, 'note').mockReturnValue(null);
  inBackground('kill', set.post(index, undefined as unknown as Message));
  await waitUntil(
    () => events.some((event) => event.startsWith('NIC: ')),
    () => events,
  );
}

it('sets aside by name what it served, and never reports it as ready again', async () => {
  const path = (name: string) => join(lab.directory, name);
  const far = openDgramEnd(path('far'), path('near'));
  await lab.nic.addUplink({ name: 'left', type: 'null' });
  await lab.nic.addUplink({
    name: 'right',
    type: 'dgram',
    socket: path('near'),
    peer: path('far'),
  });
  await waitUntil(
    () => lab.nic.uplink('right').state === 'up',
    () => lab.nic.uplinks(),
  );
  const guest = await lab.connect(0);
  const orphan = await lab.connect(1);
  expect(lab.nic.vfs().map(({ processor, state }) => [processor, state])).toEqual([
    [0, 'ready'],
    [1, 'ready'],
  ]);
  expect(lab.nic.uplinks().map(({ processor }) => processor)).toEqual([0, 1]);
  events.length = 0;

  await breakProcessor(1);
  const reason = expect.stringMatching(/^processor 1 keeps dying: /);
  expect(lab.nic.vf('vf1')).toMatchObject({ state: 'faulted', lastFault: reason });
  expect(lab.nic.vf('vf0')).toMatchObject({ state: 'ready' });
  expect(lab.nic.uplink('right')).toMatchObject({ state: 'down', reason });
  expect(lab.nic.uplink('left').state).toBe('up');
  expect(events).toEqual([
    expect.stringMatching(/^vf1 fault: processor 1 keeps dying/),
    expect.stringMatching(/^right down: processor 1 keeps dying/),
    expect.stringMatching(/^NIC: processor 1 keeps dying/),
  ]);

  // Neither the operator nor the guest can make it ready again.
  events.length = 0;
  await lab.nic.setVf('vf1', { linkState: 'enable' });
  expect(lab.nic.vf('vf1').state).toBe('faulted');
  await lab.disconnect(1, orphan);
  expect(lab.nic.vf('vf1')).toMatchObject({ state: 'down', lastFault: reason });
  await lab.connect(1);
  await waitUntil(
    () => lab.nic.vf('vf1').state === 'faulted',
    () => lab.nic.vf('vf1'),
  );
  expect(lab.nic.vf('vf1').rings.map(({ fault }) => fault)).toEqual([reason, reason]);
  await lab.nic.setUplink('right', { addressesMax: 77 });
  expect(lab.nic.uplink('right').state).toBe('down');
  expect(events.filter((event) => event.includes('ready'))).toEqual([]);

  // A new VF is served by the other processor, and its frames arrive.
  await lab.nic.addVf({ name: 'vf2', socket: lab.socket(2), mac: lab.mac(2) });
  expect(lab.nic.vf('vf2').processor).toBe(0);
  const other = await lab.connect(2);
  const frame = plainFrame({ to: lab.mac(0), from: lab.mac(2) }, 200);
  const arrived = guest.waitReceived(1);
  other.send(frame);
  checkSame(await arrived, [frame]);
  await lab.untilBalanced();
  far.close();
});

it('reports the reason for a VF without a guest, and for a guest that connects later', async () => {
  await breakProcessor(1);
  const reason = expect.stringMatching(/^processor 1 keeps dying: /);
  expect(lab.nic.vf('vf1')).toMatchObject({ state: 'down', lastFault: reason });
  await lab.connect(1);
  await waitUntil(
    () => lab.nic.vf('vf1').state === 'faulted',
    () => lab.nic.vf('vf1'),
  );
});
