import { beforeEach, describe, expect, it } from 'vitest';
import {
  REGISTERS_BASE,
  REQUEST_ANSWER,
  REQUEST_BASE,
  REQUEST_LIST_BASE,
} from '../../layout/memory.ts';
import {
  REGISTER_REQUEST_COUNT,
  REQUEST_BROKEN,
  REQUEST_MISSED,
  REQUEST_NONE,
} from '../../layout/processor.ts';
import type { Firmware } from './firmware.ts';
import type { Report } from './mailbox.ts';
import { RequestQueues } from './request-queues.ts';

/** Limit of one look, and what counts as an endless one. */
const LOOK_MAX = 20;
const WITHOUT_END = 1000;

/** Guests whose every request needs `windows` windows that are not open, and is then broken. */
class FakeFirmware {
  windows = 0;
  /** The result of a request whose windows are all open. */
  result = REQUEST_BROKEN;
  /** Requests left on each ring. */
  readonly waiting = new Map<number, number>();
  readonly taken = new Map<number, number>();
  /** Rings that the next turn looks at. */
  readonly awake = new Set<number>();
  work = 0;
  looks = 0;
  #open = 0;

  beginHostWork(): void {}

  chargeHostWork(): void {}

  functionOf(): number {
    return 0;
  }

  unparkRings(first: number, count: number): void {
    for (let ring = first; ring < first + count; ring++) this.awake.add(ring);
  }

  turn(view: DataView): void {
    const found = [...this.awake].filter((ring) => (this.waiting.get(ring) ?? 0) > 0);
    found.forEach((ring, place) => {
      view.setUint32(REQUEST_LIST_BASE + place * 4, ring, true);
    });
    view.setUint32(REGISTERS_BASE + REGISTER_REQUEST_COUNT, found.length, true);
    this.awake.clear();
  }

  takeRequest(ring: number): number {
    this.looks += 1;
    if ((this.waiting.get(ring) ?? 0) === 0) return REQUEST_NONE;
    this.work += 1;
    if (this.work > WITHOUT_END) throw new Error('one look went on and on');
    if (this.#open < this.windows) return REQUEST_MISSED;
    return this.result;
  }

  finishRequest(ring: number): number {
    this.#open = 0;
    this.waiting.set(ring, (this.waiting.get(ring) ?? 0) - 1);
    this.taken.set(ring, (this.taken.get(ring) ?? 0) + 1);
    return 0;
  }

  resolveMiss(): void {
    this.#open += 1;
  }
}

let firmware: FakeFirmware;
/** CPU time so far, in µs. */
let cpu = 0;
/** The time, in µs. */
let now = 0;
/** How often it was read. */
let clockReadings: number;
let queues: RequestQueues;
let reports: Report[];
let view: DataView;

beforeEach(() => {
  cpu = 0;
  clockReadings = 0;
  reports = [];
  begin();
});

/** Starts a processor: the first one, or a replacement. */
function begin(): void {
  firmware = new FakeFirmware();
  const buffer = new ArrayBuffer(REQUEST_BASE + REQUEST_ANSWER + 64);
  view = new DataView(buffer);
  queues = new RequestQueues(
    firmware as unknown as Firmware,
    buffer,
    {
      resolveMiss: () => firmware.resolveMiss(),
      onUntranslated: () => undefined,
      call: () => undefined,
      report: (report) => reports.push(report),
    },
    {
      now: () => now,
      cpu: () => {
        clockReadings += 1;
        return cpu;
      },
    },
  );
}

/** The ring of the first request queue. */
const RING = 100;

function turn(): void {
  firmware.turn(view);
  queues.notice();
}

/** Requests and windows of the next look. */
function look(): number {
  turn();
  firmware.work = 0;
  queues.serve();
  return firmware.work;
}

function attach(count: number, requests: number): void {
  for (let vf = 0; vf < count; vf++) {
    queues.attach(RING + vf);
    firmware.waiting.set(RING + vf, requests);
    firmware.unparkRings(RING + vf, 1); // an attached ring is looked at
  }
}

describe('a look at the request queues', () => {
  it.each([0, 1, 140])('is short, whatever one guest asks: %s missing windows each', (windows) => {
    firmware.windows = windows;
    attach(1, 10_000);
    for (let looks = 0; looks < 20; looks++) expect(look()).toBeLessThanOrEqual(LOOK_MAX);
  });

  it('is as short when all guests ask together, and each gets its turn', () => {
    attach(255, 3);
    expect(look()).toBeLessThanOrEqual(LOOK_MAX);
    expect(queues.isDue, 'there is more').toBe(true);
    for (let looks = 0; looks < 255; looks++) expect(look()).toBeLessThanOrEqual(LOOK_MAX);
    expect(firmware.taken.size).toBe(255);
    expect(new Set(firmware.taken.values())).toEqual(new Set([3]));
    expect(queues.isDue).toBe(false);
  });

  it('ends after 0.1 ms, however expensive windows are, and resumes where it was', () => {
    firmware.windows = 4;
    attach(1, 2);
    const resolveMiss = firmware.resolveMiss.bind(firmware);
    firmware.resolveMiss = () => {
      cpu += 40;
      resolveMiss();
    };
    expect(look(), 'a look at it, and one after each of three windows').toBe(4);
    expect(queues.isDue).toBe(true);
    for (let looks = 0; looks < 4; looks++) look();
    expect(firmware.taken.get(RING)).toBe(2);
  });

  it('continues a request that needs more windows than one look may open', () => {
    firmware.windows = 60;
    attach(1, 1);
    for (let looks = 0; looks < 10; looks++) look();
    expect(firmware.taken.get(RING)).toBe(1);
    expect(reports).toEqual([]);
  });

  it('counts a missing window as a request in the limit per period', () => {
    firmware.windows = 9;
    attach(1, 10_000);
    for (let looks = 0; looks < 40; looks++) look();
    // 100 in all, of which every tenth is a request.
    expect(firmware.taken.get(RING)).toBeLessThanOrEqual(20);
    expect(queues.sleepMilliseconds()).toBeGreaterThanOrEqual(0);
    expect(queues.isDue, 'nothing is due before its next period').toBe(false);
  });

  it('stops the queue of a guest whose request never gets all its windows', () => {
    firmware.windows = Number.POSITIVE_INFINITY;
    attach(1, 1);
    for (let period = 0; period < 10; period++) {
      now += 1_000_000;
      for (let looks = 0; looks < 10; looks++) look();
    }
    expect(reports).toMatchObject([{ kind: 'ring-fault', ring: RING }]);
  });

  it('happens once in 64 rounds, whether or not the guest has kicked', () => {
    attach(1, 0);
    turn();
    firmware.waiting.set(RING, 1);
    for (let round = 0; round < 64; round++) {
      expect(firmware.awake.size).toBe(0);
      queues.look();
      turn();
    }
    queues.look();
    expect(firmware.taken.get(RING)).toBe(1);
  });

  it('costs nothing before sleep, however many queues are idle', () => {
    attach(255, 0);
    look();
    firmware.looks = 0;
    for (let sleeps = 0; sleeps < 10; sleeps++) {
      queues.retry();
      queues.serve();
      expect(queues.sleepMilliseconds()).toBe(-1);
    }
    expect(firmware.awake.size, 'rings that the next turn looks at').toBe(0);
    expect(firmware.looks).toBe(0);
    expect(clockReadings, 'only a look that has work measures itself').toBe(0);
  });

  it('happens soon for a guest that has kicked, and costs nothing for the others', () => {
    attach(255, 0);
    turn();
    const asking = RING + 17;
    firmware.waiting.set(asking, 1);
    queues.wake(asking);
    look();
    expect(firmware.taken.get(asking)).toBe(1);
    expect(firmware.looks, 'one takes the request, one finds no other').toBe(2);
  });
});

it('an answer meant for a dead processor matches no request of its replacement', () => {
  const ask = (): number => {
    firmware.result = 0;
    attach(1, 1);
    look();
    const report = reports.pop();
    return report?.kind === 'request' ? report.id : Number.NaN;
  };
  const old = ask();
  begin();
  const id = ask();
  queues.answer(RING, old, new Uint8Array(1));
  expect(queues.isDue, 'late').toBe(false);
  queues.answer(RING, id, new Uint8Array(1));
  expect(queues.isDue, 'its own').toBe(true);
});
