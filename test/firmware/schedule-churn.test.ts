import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NODE_FIRST_GROUP, NODE_ROOT, PRIORITY_COUNT } from '../../layout/limits.ts';
import { PORT_IS_UPLINK } from '../../layout/port.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { promise } from '../support/promises.ts';
import { seedFromEnvironment } from '../support/seed.ts';

const GUESTS = 5;
const PAIRS = 2;
const GROUPS = 3;
const FRAMES_MAX = 60;
/** Turns after which everything that waited must have gone, once nothing is limited any more. */
const PATIENCE = 200;

const guest = fc.nat(GUESTS - 1);
const pair = fc.nat(PAIRS - 1);
const group = fc.integer({ min: NODE_FIRST_GROUP, max: NODE_FIRST_GROUP + GROUPS - 1 });
/** From what takes a minute for a frame to more than the clock can tell. */
const rate = fc.constantFrom(undefined, 1e3, 1e6, 1e8, 1e12);

const words = fc.record(
  {
    bytesPerSecond: rate,
    packetsPerSecond: rate,
    guaranteedBytesPerSecond: rate,
    receivedBytesPerSecond: rate,
    receivedPacketsPerSecond: rate,
    burstNs: fc.constantFrom(0, 1, 450_000, 1e9),
    guaranteedTime: fc.constantFrom(0.01, 0.9),
    overhead: fc.constantFrom(0, 24),
    weight: fc.constantFrom(1, 7, 1000),
    priority: fc.nat(PRIORITY_COUNT - 1),
  },
  { requiredKeys: [] },
);

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), from: guest, pair }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      nanoseconds: fc.constantFrom(1, 50_000, 1e6, 5e9),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('sleep' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('promise' as const),
      node: fc.oneof(guest, group, fc.constant(NODE_ROOT)),
      words,
      /** A group below a later one only, so that none is below itself. */
      parent: fc.option(group, { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('detach' as const), guest, pair }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('attach' as const), guest, pair }) },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

class Churn {
  readonly wire = new FirmwareWire(
    Array.from({ length: GUESTS }, () => ({ queuePairs: PAIRS, slots: FRAMES_MAX })),
  );
  readonly #detached = new Set<number>();
  #sent = 0;

  constructor() {
    this.wire.postAll();
    this.wire.host.nanosecondsPerLook = 1000;
    // The last one is an uplink: who sends to it waits without end.
    const record = this.wire.host.portRecord(GUESTS - 1);
    this.wire.host.view.setUint32(record + PORT_IS_UPLINK, 1, true);
  }

  do(one: Step): void {
    const { host } = this.wire;
    if (one.kind === 'send') this.#send(one.from, one.pair);
    if (one.kind === 'turn') this.#turn();
    if (one.kind === 'pass') host.pass(one.nanoseconds);
    if (one.kind === 'sleep') this.#sleep();
    if (one.kind === 'promise') {
      const isBelow =
        one.parent !== undefined && (one.node < NODE_FIRST_GROUP || one.node < one.parent);
      const parent = isBelow && one.node !== NODE_ROOT ? one.parent : undefined;
      promise(host, one.node, { ...one.words, ...(parent === undefined ? {} : { parent }) });
    }
    if (one.kind === 'detach') this.#detach(one.guest, one.pair);
    if (one.kind === 'attach') this.#attach(one.guest, one.pair);
  }

  /** To each other and to all, a few at a time. */
  #send(from: number, pair: number): void {
    for (let i = 0; i < 12; i++) {
      this.#sent += 1;
      const to = this.#sent % 7 === 0 ? BROADCAST : this.wire.mac((from + this.#sent) % GUESTS);
      const length = this.#sent % 3 === 0 ? 1500 : 60;
      this.wire.send(
        from,
        plainFrame({ to, from: this.wire.mac(from) }, length, i),
        undefined,
        pair,
      );
    }
  }

  #turn(): void {
    this.wire.host.turn();
    for (let number = 0; number < GUESTS; number++) this.wire.received(number);
  }

  /** Whatever is left out of a sleep has an alarm. */
  #sleep(): void {
    const { firmware } = this.wire.host;
    this.wire.host.work();
    const isBusy = firmware.arm() !== 0;
    firmware.disarm();
    if (isBusy || this.#isEmpty()) return;
    expect(firmware.wakeMicroseconds(), 'an alarm').toBeGreaterThanOrEqual(0);
  }

  /** Whether nothing waits on a ring that is attached. */
  #isEmpty(): boolean {
    return this.wire.guests.every(({ pairs }, number) =>
      pairs.every(({ transmit }, pair) => {
        transmit.reclaim();
        return this.#detached.has(number * PAIRS + pair) || transmit.outstanding === 0;
      }),
    );
  }

  #detach(number: number, pair: number): void {
    if (this.#detached.has(number * PAIRS + pair)) return;
    this.#detached.add(number * PAIRS + pair);
    this.wire.host.firmware.detachRing(this.wire.host.ringNumber(number, 2 * pair + 1));
  }

  #attach(number: number, pair: number): void {
    if (!this.#detached.delete(number * PAIRS + pair)) return;
    this.wire.guest(number).pair(pair).transmit.reclaim();
    this.wire.host.attach(number, 2 * pair + 1);
  }

  /** Lifts all limits, and takes everything. */
  finish(): void {
    const { host } = this.wire;
    for (let node = NODE_FIRST_GROUP; node < NODE_FIRST_GROUP + GROUPS; node++)
      promise(host, node, {});
    for (let number = 0; number < GUESTS; number++) {
      for (let pair = 0; pair < PAIRS; pair++) this.#attach(number, pair);
      promise(host, number, {});
    }
    promise(host, NODE_ROOT, {});
    for (let turns = 0; turns < PATIENCE && !this.#isEmpty(); turns++) {
      host.pass(1e6);
      this.#turn();
    }
    expect(this.#isEmpty(), 'everything has gone').toBe(true);
    this.wire.run();
    host.pass(1e9);
    this.wire.run();
    expect(host.firmware.wakeMicroseconds(), 'no alarm is left').toBe(-1);
  }
}

describe('the schedule, while promises and rings come and go', () => {
  it('forgets nobody, and wakes up for all who wait', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
        const churn = new Churn();
        try {
          for (const one of steps) churn.do(one);
          churn.finish();
        } finally {
          churn.wire.close();
        }
      }),
      { numRuns: 100, seed: seedFromEnvironment(7) },
    );
  }, 120_000);
});
