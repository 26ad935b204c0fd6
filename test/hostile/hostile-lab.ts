import { expect } from 'vitest';

import { CONTROL_QUEUE, RING_BLOCK_SIZE } from '../../layout/limits.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { MockGuest, MockGuestOptions } from '../../src/testing/mock-guest.ts';

import { openFdCount } from '../support/file-descriptors.ts';
import { SilenceGauge } from '../support/silence-gauge.ts';
import { TestNic, type TestNicOptions } from '../support/test-nic.ts';

export const ATTACKER = 0;
export const TARGET = 1;
const BYSTANDERS = [2, 3] as const;

/**
 * How long a bystander's ready ring may wait for its processor, in CPU time of that processor's
 * thread. The kernel's work for the thread counts; other processes and the host do not, but for
 * what a virtual machine does not see of its host: on one that was several times slower for some
 * minutes, mapping memory included, waits of 1.2 to 2.4 ms took 2.3 to 3.8.
 */
const SILENCE_MICROSECONDS_MAX = 5000;

/** Buffers of a bystander's rings, unless told otherwise (src/testing/guest-queues.ts). */
const SLOTS = 256;

/** Ring numbers of each VF, which come in blocks, for VFs that were added one after another. */
export const RINGS_PER_VF = Math.ceil((CONTROL_QUEUE + 1) / RING_BLOCK_SIZE) * RING_BLOCK_SIZE;

/**
 * A NIC with an attacker, a guest that it may talk to, and two bystanders that exchange frames.
 * Whatever the attacker does, each frame of the bystanders must arrive soon.
 */
export class HostileLab {
  readonly lab: TestNic;
  readonly target: MockGuest;
  readonly #bystanders: readonly [MockGuest, MockGuest];
  readonly #gauge: SilenceGauge;
  #exchanged = 0;

  private constructor(
    lab: TestNic,
    target: MockGuest,
    bystanders: [MockGuest, MockGuest],
    gauge: SilenceGauge,
  ) {
    this.lab = lab;
    this.target = target;
    this.#bystanders = bystanders;
    this.#gauge = gauge;
  }

  static async start(options: TestNicOptions = {}): Promise<HostileLab> {
    const gauge = await SilenceGauge.start(BYSTANDERS.map((number) => number * RINGS_PER_VF + 1));
    const lab = await TestNic.start({ ...options, vfs: 4 });
    const target = await lab.connect(TARGET);
    const first = await lab.connect(BYSTANDERS[0]);
    const second = await lab.connect(BYSTANDERS[1]);
    const hostile = new HostileLab(lab, target, [first, second], gauge);
    await hostile.#touchBuffers();
    return hostile;
  }

  /** Rounds that the bystanders have completed. */
  get rounds(): number {
    return this.#exchanged;
  }

  /** A guest whose rings the test writes itself. */
  attack(options: MockGuestOptions = {}): Promise<MockGuest> {
    return this.lab.connect(ATTACKER, { isRaw: true, features: [], ...options });
  }

  /**
   * Runs an attack while the bystanders exchange frames. Afterwards they still do, neither had to
   * wait for long, every frame is accounted for, no canary has changed, no processor was restarted,
   * and no descriptor has leaked.
   */
  async withBystanders(attack: () => Promise<void>): Promise<void> {
    const fds = openFdCount();
    await this.#round(); // pays one-time costs, such as compiling, before the attack
    this.#gauge.begin();
    let isOver = false;
    const traffic = this.#pingPong(() => isOver);
    try {
      await attack();
    } finally {
      isOver = true;
      await traffic;
    }
    const before = this.#exchanged;
    await this.#round();
    expect(this.#exchanged).toBe(before + 1);
    this.#expectNoSilence();
    await this.target.waitTransmitted();
    for (const guest of [this.target, ...this.#bystanders]) {
      guest.poll();
      for (const { receive } of guest.queues.pairs) receive.checkIdleBuffers();
    }
    await this.lab.untilBalanced();
    for (const { restarts } of this.lab.nic.stats().processors) expect(restarts).toBe(0);
    for (const number of BYSTANDERS) expect(this.lab.drops(number)).toEqual({});
    expect(openFdCount()).toBe(fds);
  }

  /** Runs `action`, and expects exactly these counters of a VF to change, by these values. */
  async expectMoves(
    number: number,
    moves: Readonly<Record<string, number>>,
    action: () => Promise<void>,
  ): Promise<void> {
    const before = this.#troubles(number);
    await action();
    const after = this.#troubles(number);
    const moved: Record<string, number> = {};
    for (const [path, count] of after) {
      const amount = count - (before.get(path) ?? 0);
      if (amount !== 0) moved[path] = amount;
    }
    expect(moved).toEqual(moves);
  }

  async close(): Promise<void> {
    await this.lab.close();
    await this.#gauge.close();
  }

  #expectNoSilence(): void {
    const silences = this.#gauge.longest();
    const longest = silences[0];
    const all = silences.map(({ cpuMicroseconds }) => (cpuMicroseconds / 1000).toFixed(2));
    const silence = `${all.join(', ')} ms of the processor's time`;
    const clock = longest?.wallMilliseconds.toFixed(1);
    console.log(`bystanders waited ${silence} at most; the first: ${clock} ms by the clock`);
    expect(longest?.cpuMicroseconds, 'the gauge works').toBeGreaterThan(0);
    expect(longest?.cpuMicroseconds, silence).toBeLessThanOrEqual(SILENCE_MICROSECONDS_MAX);
  }

  /** All error counters. */
  #troubles(number: number): Map<string, number> {
    const { tx, rx } = this.lab.stats(number);
    const counts = new Map<string, number>();
    for (const [side, stats] of [
      ['tx', tx],
      ['rx', rx],
    ] as const) {
      for (const [name, count] of Object.entries(stats.drops)) {
        counts.set(`${side}.drops.${name}`, count);
      }
      counts.set(`${side}.faults`, stats.faults);
    }
    return counts;
  }

  /**
   * The bystanders' buffers are used once each. The kernel maps a page at its first use, which can
   * take longer than everything else that the processor does for a frame; the attacker has no part
   * in that.
   */
  async #touchBuffers(): Promise<void> {
    const [first, second] = this.#bystanders;
    await this.#touchFrom(first, second, BYSTANDERS);
    await this.#touchFrom(second, first, [BYSTANDERS[1], BYSTANDERS[0]]);
  }

  async #touchFrom(
    sender: MockGuest,
    receiver: MockGuest,
    [from, to]: readonly [number, number],
  ): Promise<void> {
    const { lab } = this;
    const frame = plainFrame({ to: lab.mac(to), from: lab.mac(from) }, 1514);
    for (let sent = 0; sent < SLOTS; ) {
      let inFlight = 0;
      while (inFlight < SLOTS / 4 && sender.send(frame)) inFlight += 1;
      for (let i = 0; i < inFlight; i++) await nextBetween(receiver, frame);
      await sender.waitTransmitted();
      sent += inFlight;
    }
  }

  async #pingPong(isOver: () => boolean): Promise<void> {
    while (!isOver()) await this.#round();
  }

  async #round(): Promise<void> {
    const [first, second] = this.#bystanders;
    const { lab } = this;
    const length = 60 + ((this.#exchanged * 37) % 1400);
    const to = lab.mac(BYSTANDERS[1]);
    const from = lab.mac(BYSTANDERS[0]);
    const ping = plainFrame({ to, from }, length, this.#exchanged);
    const pong = plainFrame({ to: from, from: to }, length, this.#exchanged);
    first.send(ping);
    expect((await nextBetween(second, ping)).equals(ping)).toBe(true);
    second.send(pong);
    expect((await nextBetween(first, pong)).equals(pong)).toBe(true);
    this.#exchanged += 1;
  }
}

/**
 * The next frame with the expected addresses. An attacker's scrambled frames may have an unknown
 * destination, and then the switch rightly floods them to the bystanders, too.
 */
async function nextBetween(guest: MockGuest, awaited: Uint8Array): Promise<Buffer> {
  for (;;) {
    const frame = Buffer.from(await guest.nextFrame());
    if (frame.subarray(0, 12).equals(awaited.subarray(0, 12))) return frame;
  }
}
