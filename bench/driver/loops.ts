// The loads. All of them poll; their loops neither allocate nor wait.

import { microseconds, startCoreClock } from './clock.ts';
import type { Port } from './port.ts';
import type {
  FloodAnswer,
  FloodRequest,
  LoopAnswer,
  LoopRequest,
  OfferAnswer,
  OfferRequest,
  SinkAnswer,
  SinkRequest,
} from './protocol.ts';

/** The number of frames that a guest's driver typically hands over at once. */
const burst = 32;
const settleMicroseconds = 20_000;
/** Open vSwitch assigns its ports to its polling thread one after another. */
const introductionMicroseconds = 10e6;
/** A frame that takes this long is lost. */
export const patienceMicroseconds = 0.5e6;

/**
 * Every port sends until all have received from their partner: a switch may flood or lose the first
 * frames of a new port.
 */
export function introduce(ports: readonly Port[]): void {
  const end = microseconds() + introductionMicroseconds;
  const before = ports.map(({ received }) => received);
  const isMissing = (port: Port, at: number) => port.received === before[at];
  let isAgain = false;
  while (ports.some(isMissing) || !isAgain) {
    // Once more after all have received: now the switch knows every address.
    isAgain = !ports.some(isMissing);
    for (const port of ports) port.transmit(1);
    settle(ports);
    if (microseconds() < end) continue;
    throw new Error(`${ports.filter(isMissing).length} of ${ports.length} ports received nothing`);
  }
}

/** Two frames of each port, whoever receives them: a switch knows all addresses then. */
export function greet(ports: readonly Port[]): void {
  for (let turn = 0; turn < 2; turn += 1) {
    for (const port of ports) port.transmit(1);
    settle(ports);
  }
}

/** Receives until nothing has arrived for a while. */
export function settle(ports: readonly Port[]): void {
  settleUntil(ports, () => false, settleMicroseconds);
}

/** The same if completeness is known. What has not arrived after a long time is lost. */
function settleUntil(
  ports: readonly Port[],
  isComplete: () => boolean,
  patience = patienceMicroseconds,
): void {
  let quietSince = microseconds();
  while (!isComplete() && microseconds() - quietSince < patience) {
    for (const port of ports) if (port.receive() > 0) quietSince = microseconds();
  }
}

export function loop(ports: readonly Port[], request: LoopRequest): LoopAnswer {
  const credit = new Int32Array(ports.length).fill(request.framesInFlight);
  // Frames of the introduction that were flooded or lost.
  const before = ports.reduce((total, { sent, received }) => total + sent - received, 0);
  circulate(ports, credit, request.warmUpSeconds);
  const cores = startCoreClock();
  const started = microseconds();
  const frames = circulate(ports, credit, request.seconds);
  const elapsed = microseconds() - started;
  const used = cores();
  const missing = () => ports.reduce((sum, { sent, received }) => sum + sent - received, -before);
  settleUntil(ports, () => missing() === 0);
  if (frames === 0) throw new Error('no frame arrived');
  return { mpps: frames / elapsed, seconds: elapsed / 1e6, framesLost: missing(), ...used };
}

function circulate(ports: readonly Port[], credit: Int32Array, seconds: number): number {
  const end = microseconds() + seconds * 1e6;
  let frames = 0;
  do {
    for (let turn = 0; turn < burst; turn += 1) frames += passOn(ports, credit);
  } while (microseconds() < end);
  return frames;
}

/** Each frame that arrives lets its sender send another. Returns the number that arrived. */
export function passOn(ports: readonly Port[], credit: Int32Array): number {
  let frames = 0;
  for (let at = 0; at < ports.length; at += 1) {
    const port = ports[at]!;
    const arrived = port.receive();
    frames += arrived;
    credit[at ^ 1]! += arrived;
    const count = Math.min(credit[at]!, port.room);
    if (count === 0) continue;
    port.transmit(count);
    credit[at]! -= count;
  }
  return frames;
}

/** Time in which the driver did not run does not count against the switch: the schedule waits. */
const absenceMicroseconds = 10;

export function offer(ports: readonly Port[], request: OfferRequest): OfferAnswer {
  const [from, to] = [ports[0]!, ports[1]!];
  const cores = startCoreClock();
  const before = to.received;
  const started = microseconds();
  const length = request.seconds * 1e6;
  let [offered, refused, absent, last] = [0, 0, 0, 0];
  while (last < length) {
    const now = microseconds() - started;
    if (now - last > absenceMicroseconds) absent += now - last;
    last = now;
    const due = Math.floor((now - absent) * request.mpps) - offered;
    if (due > 0) {
      const count = Math.min(due, from.room);
      if (count > 0) from.transmit(count);
      offered += due;
      refused += due - count;
    }
    to.receive();
  }
  const used = cores();
  settleUntil(ports, () => to.received - before === offered - refused);
  const delivered = to.received - before;
  return { offered, delivered, refused, seconds: (last - absent) / 1e6, ...used };
}

/** Nobody needs to receive: frames that leave through an uplink are counted there. */
export function flood(ports: readonly Port[], request: FloodRequest): FloodAnswer {
  const port = ports[0]!;
  const settled = () => port.sent - (port.transmitRingSize - port.room);
  const cores = startCoreClock();
  const before = settled();
  const started = microseconds();
  const end = started + request.seconds * 1e6;
  while (microseconds() < end) {
    const { room } = port;
    if (room > 0) port.transmit(room);
  }
  const framesPerSecond = ((settled() - before) * 1e6) / (microseconds() - started);
  const used = cores();
  settle(ports);
  return { framesPerSecond, ...used };
}

/** Receives frames from the network until there are enough. */
export function sink(ports: readonly Port[], request: SinkRequest): SinkAnswer {
  const port = ports[0]!;
  const end = microseconds() + request.seconds * 1e6;
  let frames = 0;
  let lastAt = microseconds();
  while (frames < request.frames && lastAt < end) {
    frames += port.receive();
    lastAt = microseconds();
  }
  return { frames, lastAt };
}
