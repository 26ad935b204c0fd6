// Ports that keep their rings full, so that only the switch decides what each of them gets.
//
// A round looks at all ports: each receives, and each sender fills its rings again. A look that
// finds a ring empty proves that the sender may have lacked frames, not turns.

import { microseconds, startCoreClock } from './clock.ts';
import { settle } from './loops.ts';
import type { Port } from './port.ts';
import type { SenderFigures, ShareAnswer, ShareRequest } from './protocol.ts';

/** A port that sends as much as its rings accept. */
export class Flood {
  readonly at: number;
  readonly port: Port;
  looks = 0;
  emptyLooks = 0;
  /** In µs: of the times before a look that found a ring empty. So long it may have been so. */
  emptyTime = 0;
  /** What the switch has taken, since the start of the port. */
  frames = 0;
  bytes = 0;
  /** Whether the latest look found one of its rings empty. */
  isEmpty = false;

  constructor(at: number, port: Port) {
    this.at = at;
    this.port = port;
  }

  /** Fills each of its rings again. */
  fill(): void {
    const { transmits } = this.port;
    this.isEmpty = false;
    for (let pair = 0; pair < transmits.length; pair += 1) {
      const transmit = transmits[pair]!;
      const { outstanding, size } = transmit;
      this.looks += 1;
      if (outstanding === 0) {
        this.emptyLooks += 1;
        this.isEmpty = true;
      }
      // A few at a time would cost the switch a cache line for each.
      if (size - outstanding >= refillMin) transmit.transmit(size - outstanding);
    }
  }

  /** Reads what the switch has taken: frames and bytes belong to the same moment. */
  read(): void {
    const { transmits, sizes } = this.port;
    this.frames = 0;
    this.bytes = 0;
    for (let pair = 0; pair < transmits.length; pair += 1) {
      const frames = transmits[pair]!.sent - transmits[pair]!.outstanding;
      this.frames += frames;
      this.bytes += sizes.bytesOf(frames);
    }
  }
}

const refillMin = 8;

export function share(ports: readonly Port[], request: ShareRequest): ShareAnswer {
  const floods = request.senders.map((at) => new Flood(at, ports[at]!));
  const rounds = new Rounds(ports, floods);
  rounds.run(microseconds() + request.warmUpSeconds * 1e6);
  for (const flood of floods) [flood.looks, flood.emptyLooks, flood.emptyTime] = [0, 0, 0];
  const interval = request.sampleMilliseconds * 1000;
  const count = Math.max(1, Math.round((request.seconds * 1e6) / interval));
  const taken = floods.map(() => new Float64Array(count));
  const lengths = new Float64Array(count);
  const received = ports.map((port) => port.received);
  for (const flood of floods) flood.read();
  const frames = floods.map((flood) => flood.frames);
  const cores = startCoreClock();
  const started = microseconds();
  let last = started;
  for (let sample = 0; sample < count; sample += 1) {
    const now = rounds.run(started + (sample + 1) * interval);
    lengths[sample] = (now - last) / 1e6;
    last = now;
    for (let at = 0; at < floods.length; at += 1) {
      const flood = floods[at]!;
      const before = flood.bytes;
      flood.read();
      taken[at]![sample] = flood.bytes - before;
    }
  }
  const used = cores();
  const senders = floods.map((flood, at) => figuresOf(flood, taken[at]!, frames[at]!));
  const arrived = ports.map((port, at) => port.received - received[at]!);
  settle(ports);
  const seconds = (last - started) / 1e6;
  return { seconds, sampleSeconds: [...lengths], senders, received: arrived, ...used };
}

function figuresOf(flood: Flood, taken: Float64Array, framesBefore: number): SenderFigures {
  const { looks, emptyLooks, emptyTime, port } = flood;
  return {
    ...{ port: flood.at, frames: flood.frames - framesBefore },
    bytes: taken.reduce((sum, bytes) => sum + bytes, 0),
    ...{
      largestBytes: port.sizes.largest,
      looks,
      emptyLooks,
      emptySeconds: emptyTime / 1e6,
      samples: [...taken],
    },
  };
}

/** Keeps the rings full, round by round. */
class Rounds {
  readonly #ports: readonly Port[];
  readonly #floods: readonly Flood[];
  #last = microseconds();

  constructor(ports: readonly Port[], floods: readonly Flood[]) {
    this.#ports = ports;
    this.#floods = floods;
  }

  /** Returns when it ended. */
  run(end: number): number {
    const [ports, floods] = [this.#ports, this.#floods];
    do {
      for (let at = 0; at < ports.length; at += 1) ports[at]!.receive();
      for (let at = 0; at < floods.length; at += 1) floods[at]!.fill();
      const now = microseconds();
      for (let at = 0; at < floods.length; at += 1) {
        if (floods[at]!.isEmpty) floods[at]!.emptyTime += now - this.#last;
      }
      this.#last = now;
    } while (this.#last < end);
    return this.#last;
  }
}
