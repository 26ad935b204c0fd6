import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { VfStats } from '../../src/functions/net/types.ts';
import { monotonicSeconds } from '../../src/os/clock.ts';
import { untilBalanced } from '../support/assert-balanced.ts';
import { canRunGuests, type Laboratory } from './laboratory.ts';
import { openLaboratory } from './suite.ts';
import { report, startServer, streamWords } from './tcp-report.ts';

/** Ethernet, IPv4, and TCP with a timestamp. */
const HEADERS_BYTES = 66;
const FULL_FRAME_BYTES = 1514;
const FULL_PAYLOAD = (FULL_FRAME_BYTES - HEADERS_BYTES) / FULL_FRAME_BYTES;
const WINDOW_SECONDS = 3;
/** Of what headers leave of a maximum, while the guest has something to send. */
const GOODPUT_MIN = 0.985;
/** The same right after a change, and on a busy machine. */
const GOODPUT_CHANGED_MIN = 0.9;
const EXCESS_MAX = 0.01;
/** Until TCP's window has opened, and the burst is over. */
const WARM_UP_SECONDS = 1;
/** Until the queues of a slow guest are empty. */
const GRACE_SECONDS = 30;

interface Window {
  /** Of the payload, against what headers leave of the maximum. */
  readonly goodput: number;
  /** Of the wire, against the maximum. */
  readonly wire: number;
  /** For which part of the time the guest had more to send than it might. */
  readonly held: number;
}

describe('TCP between Linux guests under limits', () => {
  let lab: Laboratory;

  openLaboratory({ guests: 2 }, (opened) => {
    lab = opened;
  });
  afterEach(async () => {
    if (!canRunGuests) return;
    await lab.nic.setVf('vm1', { txMax: 0 });
    await lab.nic.setVf('vm2', { rxMax: 0 });
    await untilBalanced(lab.nic);
  });

  function vf(name: string): VfStats {
    const found = lab.nic.stats().vfs.find((one) => one.name === name);
    if (found === undefined) throw new Error(`assertion: no VF ${name}`);
    return found;
  }

  /** What vm1 sends meanwhile, by the host's clock and the NIC's accounts. */
  async function window(txMax: number): Promise<Window> {
    const started = monotonicSeconds();
    const before = vf('vm1').account;
    await sleep(WINDOW_SECONDS * 1000);
    const after = vf('vm1').account;
    const seconds = monotonicSeconds() - started;
    const bytes = after.bytes - before.bytes;
    const payload = bytes - (after.packets - before.packets) * HEADERS_BYTES;
    const part = (some: number) => (some * 8) / seconds / txMax;
    const held = (after.heldNanoseconds - before.heldNanoseconds) / 1e9 / seconds;
    return { goodput: part(payload) / FULL_PAYLOAD, wire: part(bytes), held };
  }

  async function windows(txMax: number, count: number): Promise<Window[]> {
    const all: Window[] = [];
    for (let n = 0; n < count; n++) all.push(await window(txMax));
    for (const { wire } of all) expect(wire).toBeLessThan(1 + EXCESS_MAX + oneFrame(txMax));
    return all;
  }

  function oneFrame(txMax: number): number {
    return (65_536 * 8) / txMax / WINDOW_SECONDS;
  }

  async function stream(seconds: number, meanwhile: () => Promise<void>) {
    await startServer(lab.guest('vm2'));
    const running = lab.guest('vm1').run(streamWords('vm2', seconds), seconds + GRACE_SECONDS);
    const watching = sleep(WARM_UP_SECONDS * 1000).then(meanwhile);
    const [output] = await Promise.all([running, watching]);
    return report(output);
  }

  /** A guest that lacks its core posts no buffers: `ringFull` says nothing about limits. */
  function lost(): Record<string, number> {
    const { tx, rx } = { tx: vf('vm1').tx.drops, rx: vf('vm2').rx.drops };
    return { ...tx, ...rx, ringFull: 0 };
  }

  // A guest under emulation may lack its core for a while, on a busy machine: what counts is what
  // it got while it had more to send, in the best of the windows.
  test.each([10, 100])(
    'get what headers leave of txMax %i Mbit',
    async (mbit) => {
      const txMax = mbit * 1e6;
      await lab.nic.setVf('vm1', { txMax });
      const before = lost();
      let found: Window[] = [];
      const { receivedBitsPerSecond } = await stream(11, async () => {
        found = await windows(txMax, 3);
      });
      const guest = receivedBitsPerSecond / txMax / FULL_PAYLOAD;
      console.log(`txMax ${mbit} Mbit: ${JSON.stringify(found)}; iperf3 in the guest: ${guest}`);
      const parts = found.map(({ goodput, held }) => goodput / held);
      expect(Math.max(...parts)).toBeGreaterThan(GOODPUT_MIN);
      expect(guest).toBeLessThan(1 + EXCESS_MAX + oneFrame(txMax));
      expect(lost()).toEqual(before);
    },
    60_000,
  );

  test('lose nothing when txMax changes while the stream runs', async () => {
    const before = lost();
    const found: Window[] = [];
    // Without a limit at the start, a slow receiver would lose frames, and TCP its window.
    await lab.nic.setVf('vm1', { txMax: 100e6 });
    await stream(12, async () => {
      for (const txMax of [20e6, 100e6, 50e6]) {
        await lab.nic.setVf('vm1', { txMax });
        found.push(...(await windows(txMax, 1)));
      }
    });
    console.log(`txMax changed: ${JSON.stringify(found)}`);
    for (const { wire, held } of found) expect(wire / held).toBeGreaterThan(GOODPUT_CHANGED_MIN);
    expect(lost()).toEqual(before);
  }, 60_000);

  test('adapt to rxMax of the receiver', async () => {
    const rxMax = 100e6;
    await lab.nic.setVf('vm2', { rxMax });
    const before = lost();
    let received = 0;
    await stream(6, async () => {
      const bytes = vf('vm2').rx.bytes;
      const started = monotonicSeconds();
      await sleep(WINDOW_SECONDS * 1000);
      received = (vf('vm2').rx.bytes - bytes) / (monotonicSeconds() - started);
    });
    console.log(`rxMax: ${(received * 8) / rxMax} of it`);
    expect((received * 8) / rxMax).toBeLessThan(1 + EXCESS_MAX + oneFrame(rxMax));
    expect(received).toBeGreaterThan(0);
    const { receiveRate = 0, ...others } = lost();
    expect(receiveRate).toBeGreaterThan(0);
    expect(others).toEqual(before);
  }, 60_000);
});
