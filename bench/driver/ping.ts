// One frame there and back, while other ports do something else.

import { microseconds, startCoreClock } from './clock.ts';
import { passOn, patienceMicroseconds, settle } from './loops.ts';
import type { Port } from './port.ts';
import type { PingAnswer, PingRequest } from './protocol.ts';
import { Flood } from './share.ts';

/** Share of the trips of one measurement. */
const lostShareMax = 0.01;
/**
 * Beside floods, a trip that takes longer counts as one of this length: losses are part of what the
 * pair suffers. After enough of them, the quantiles are known.
 */
const floodPatienceMicroseconds = 20_000;
const floodLostShareMax = 0.02;

/** What ports 2 and up do meanwhile: keep up a rate, or send as much as they can. */
class Load {
  readonly #from: Port | undefined;
  readonly #to: Port | undefined;
  readonly #mpps: number;
  readonly #busy: readonly Port[];
  readonly #credit: Int32Array;
  readonly #started = microseconds();
  /** One of them at a time: a trip should not wait for all. */
  readonly #floods: readonly Flood[];
  #turn = 0;
  #offered = 0;
  arrived = 0;

  constructor(ports: readonly Port[], { loadMpps, busyFrames, floods }: PingRequest) {
    this.#floods = floods.map((at) => new Flood(at, ports[at]!));
    [this.#from, this.#to] = [ports[2], ports[3]];
    this.#mpps = loadMpps;
    const isWanted = loadMpps > 0 || busyFrames > 0;
    if (isWanted && this.#to === undefined) throw new Error('a load needs ports 2 and 3');
    this.#busy = busyFrames > 0 ? ports.slice(2) : [];
    this.#credit = new Int32Array(this.#busy.length).fill(busyFrames);
  }

  get isFlooding(): boolean {
    return this.#floods.length > 0;
  }

  get patience(): number {
    return this.isFlooding ? floodPatienceMicroseconds : patienceMicroseconds;
  }

  get mpps(): number {
    return this.arrived / (microseconds() - this.#started);
  }

  /** Of the rings that should be full: looks at them, and those that found one empty. */
  get floodLooks(): { looks: number; emptyLooks: number } {
    const sum = (of: (flood: Flood) => number) =>
      this.#floods.reduce((total, flood) => total + of(flood), 0);
    return { looks: sum(({ looks }) => looks), emptyLooks: sum((flood) => flood.emptyLooks) };
  }

  /** What floods bring to the pair itself must not fill its rings. */
  drain(port: Port): void {
    if (this.#floods.length > 0) port.receive();
  }

  keepUp(): void {
    if (this.#floods.length > 0) {
      const flood = this.#floods[this.#turn]!;
      this.#turn = (this.#turn + 1) % this.#floods.length;
      this.arrived += flood.port.receive();
      flood.fill();
    }
    this.arrived += passOn(this.#busy, this.#credit);
    if (this.#from === undefined || this.#to === undefined || this.#mpps === 0) return;
    this.arrived += this.#to.receive();
    const due = Math.floor((microseconds() - this.#started) * this.#mpps) - this.#offered;
    if (due <= 0) return;
    this.#offered += due;
    const count = Math.min(due, this.#from.room);
    if (count > 0) this.#from.transmit(count);
  }
}

export function ping(ports: readonly Port[], request: PingRequest): PingAnswer {
  const [near, far] = [ports[0]!, ports[1]!];
  const pair = [near, far];
  const trips = new Float64Array(request.count);
  const load = new Load(ports, request);
  const lostMax = request.count * (load.isFlooding ? floodLostShareMax : lostShareMax);
  const cores = startCoreClock();
  const end = microseconds() + request.secondsMax * 1e6;
  let [trip, lost] = [0, 0];
  while (trip < request.count) {
    const started = microseconds();
    let isBack = cross(near, far, load);
    const reaction = pause(request.reactionMicroseconds, load, pair);
    isBack &&= cross(far, near, load);
    const ended = microseconds();
    if (ended > end) break;
    if (isBack) {
      trips[trip] = ended - started - reaction;
      trip += 1;
    } else {
      lost += 1;
      // A late frame would be taken for the answer to the next request.
      settle(ports);
      if (load.isFlooding) {
        trips[trip] = load.patience;
        trip += 1;
      }
      if (lost > lostMax && load.isFlooding) break;
      if (lost > lostMax) throw new Error(`${lost} frames were lost`);
    }
    pause(request.pauseMicroseconds + request.reactionMicroseconds, load, pair);
  }
  const answer = { trips: trip, loadMpps: load.mpps, lost, ...load.floodLooks, ...cores() };
  settle(ports);
  const done = trips.subarray(0, trip).sort();
  const at = (quantile: number) => done[Math.ceil(quantile * trip) - 1] ?? Number.NaN;
  return { quantiles: request.quantiles.map(at), ...answer };
}

/** Returns how long it was: at least the time that was asked for, if any was. */
function pause(length: number, load: Load, pair: readonly Port[]): number {
  if (length === 0) return 0;
  const started = microseconds();
  let elapsed = 0;
  while (elapsed < length) {
    for (let at = 0; at < pair.length; at += 1) load.drain(pair[at]!);
    load.keepUp();
    elapsed = microseconds() - started;
  }
  return elapsed;
}

/** False if the frame was lost: Open vSwitch drops one occasionally while it revalidates flows. */
function cross(from: Port, to: Port, load: Load): boolean {
  if (from.room === 0) throw new Error('the ring is full: nothing comes back');
  from.transmit(1);
  const started = microseconds();
  // Others may flood it: only frames of the partner count.
  while (to.receiveFrom(from.number) === 0) {
    load.drain(from);
    load.keepUp();
    if (microseconds() - started > load.patience) return false;
  }
  return true;
}
