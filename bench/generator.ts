// The load: a testpmd whose two virtio-user ports, like two guests, send to each other for ever.
//
//            .--- port 0 (MAC …:0a) ---.                 In `mac` mode testpmd sends what one port
//   switch --|                         |-- testpmd       receives out of the other, so a fixed set
//            '--- port 1 (MAC …:0b) ---'                 of frames circulates: a closed loop.
//
// The frames in flight fit into the rings, so a correct switch loses none. Each hop is one
// operation of the switch: the rate is that of the slower side.

import { existsSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { generatorCore, type SocketRole } from './peers/peer.ts';
import { type PortStatistics, parseForwardTotals, parsePortStatistics } from './port-statistics.ts';
import { missingTestpmd, Testpmd } from './testpmd.ts';

const burstSize = 32;

/** OVS retries a connection once a second, one port after another. */
const connectSeconds = 30;
const drainSecondsMax = 2;
const drainStepMs = 20;
/** testpmd's clock against ours. A busy machine answers late; a larger difference is an error. */
const clockTolerance = 0.5;

export interface LoopSample {
  readonly frameBytes: number;
  /** Frames per second, both directions together, in millions. */
  readonly mpps: number;
  readonly windowSeconds: number;
  /** Frames in flight that never came back, and failures that the ports counted. */
  readonly framesLost: number;
  /** CPU time of the generator per second. It polls: less than 1 means that it was interrupted. */
  readonly generatorCores: number;
}

export interface MeasureOptions {
  readonly frameBytes: number;
  readonly warmUpSeconds: number;
  readonly windowSeconds: number;
  /** Called at both ends of the window, to read other counters. */
  onWindow(edge: 'begin' | 'end'): void;
}

/** What the generator's driver requests; the switch may refuse. */
export interface RingOptions {
  /** Entries of each ring. */
  readonly ringSize?: number;
  /** Bursts of 32 frames with which each port starts, over all its queue pairs. */
  readonly firstBursts?: number;
  readonly queuePairs?: number;
  /** A frame may span several buffers, as with Linux guests. On by default. */
  readonly isMergeable?: boolean;
  /** On by default. */
  readonly isInOrder?: boolean;
  /** One ring of descriptors instead of a table and two rings. Off by default. */
  readonly isPacked?: boolean;
  /** The driver's SIMD loop; it falls back if the other options rule it out. */
  readonly isVectorized?: boolean;
}

function ringWords(rings: RingOptions): string {
  const { queuePairs = 1, isMergeable = true, isInOrder = true } = rings;
  const { isPacked = false, isVectorized = false } = rings;
  const bit = (isOn: boolean) => (isOn ? 1 : 0);
  const bits = `mrg_rxbuf=${bit(isMergeable)},in_order=${bit(isInOrder)}`;
  return `,queues=${queuePairs},${bits},packed_vq=${bit(isPacked)},vectorized=${bit(isVectorized)}`;
}

export class Generator {
  readonly #testpmd: Testpmd;
  readonly #sockets: readonly string[];
  /** For each queue pair: all send the number that testpmd is told. */
  readonly #firstBursts: number;
  /** Of both ports. */
  readonly #framesInFlight: number;

  /** One port per socket. `switchRole`: whether the switch listens on the sockets or connects. */
  constructor(sockets: readonly string[], switchRole: SocketRole, rings: RingOptions = {}) {
    this.#sockets = sockets;
    const { queuePairs = 1, ringSize = 1024, firstBursts = 8 } = rings;
    if (firstBursts % queuePairs !== 0) throw new Error(`no load for ${queuePairs} queue pairs`);
    this.#firstBursts = firstBursts / queuePairs;
    this.#framesInFlight = 2 * firstBursts * burstSize;
    const server = switchRole === 'connects' ? 1 : 0;
    this.#testpmd = new Testpmd({
      name: 'the generator',
      core: generatorCore,
      isMemoryOneFile: true,
      vdevs: sockets.map((path, port) => {
        const device = `net_virtio_user${port},path=${path},server=${server}`;
        return `${device},mac=${macOf(port)},queue_size=${ringSize}${ringWords(rings)}`;
      }),
      application: [
        '--forward-mode=mac',
        // The two ports of a pair are each other's destination.
        ...sockets.map((_, port) => `--eth-peer=${port},${macOf(port ^ 1)}`),
        ...[`--txd=${ringSize}`, `--rxd=${ringSize}`, `--burst=${burstSize}`],
        ...[`--rxq=${queuePairs}`, `--txq=${queuePairs}`, '--no-flush-rx'],
        // DPDK 24.11 no longer ignores that virtio-user has no RSS: the port would not start.
        '--disable-rss',
      ],
    });
  }

  async connect(): Promise<void> {
    await this.#testpmd.ready(connectSeconds);
  }

  async measure(options: MeasureOptions): Promise<LoopSample> {
    await this.#testpmd.command(`set txpkts ${options.frameBytes}`);
    await this.#testpmd.command('set fwd mac');
    await this.#testpmd.command(`start tx_first ${this.#firstBursts}`);
    await sleep(options.warmUpSeconds * 1000);

    const before = await this.#statistics();
    const started = performance.now();
    const cpuSeconds = this.#testpmd.child.cpuSeconds();
    options.onWindow('begin');
    await sleep(options.windowSeconds * 1000);
    const after = await this.#statistics();
    const windowSeconds = (performance.now() - started) / 1000;
    options.onWindow('end');
    const generatorCores = (this.#testpmd.child.cpuSeconds() - cpuSeconds) / windowSeconds;

    const rate = this.#rate(before, after, windowSeconds);
    const dropped = parseForwardTotals(await this.#testpmd.command('stop')).txDropped;
    const lost = this.#framesInFlight - (await this.#drain());
    if (lost === this.#framesInFlight) {
      throw this.#testpmd.child.failure('got no frame back at the end: the switch lost them all');
    }
    return {
      frameBytes: options.frameBytes,
      mpps: rate / 1e6,
      windowSeconds,
      framesLost: Math.max(lost, dropped) + failures(after) - failures(before),
      generatorCores,
    };
  }

  async stop(): Promise<void> {
    await this.#testpmd.quit();
    // As a server, testpmd leaves its sockets behind, and could not bind them again.
    for (const socket of this.#sockets) if (existsSync(socket)) rmSync(socket);
  }

  pids(): readonly number[] {
    return this.#testpmd.child.hasEnded ? [] : [this.#testpmd.child.pid];
  }

  tail(): string {
    return this.#testpmd.child.tail();
  }

  /**
   * Takes the frames in flight out of the loop and returns their number. The next start then finds
   * empty rings, whatever its frame size, and a missing frame is a lost one.
   */
  async #drain(): Promise<number> {
    const before = received(await this.#statistics());
    await this.#testpmd.command('set fwd rxonly');
    await this.#testpmd.command('start');
    const end = performance.now() + drainSecondsMax * 1000;
    let drained = 0;
    // A busy machine may not run the switch for a while: waiting frames are not lost.
    while (drained < this.#framesInFlight && performance.now() < end) {
      await sleep(drainStepMs);
      drained = received(await this.#statistics()) - before;
    }
    await this.#testpmd.command('stop');
    return drained;
  }

  async #statistics(): Promise<PortStatistics[]> {
    const statistics = parsePortStatistics(await this.#testpmd.command('show port stats all'));
    if (statistics.length !== this.#sockets.length) {
      throw this.#testpmd.child.failure(`showed ${statistics.length} ports`);
    }
    return statistics;
  }

  #rate(before: PortStatistics[], after: PortStatistics[], windowSeconds: number): number {
    const counted = (received(after) - received(before)) / windowSeconds;
    // testpmd reads its clock together with the counters; we only see when its answer arrives.
    const rate = after.reduce((sum, { rxPps }) => sum + rxPps, 0);
    if (counted <= 0) throw this.#testpmd.child.failure('received no frame: the loop is broken');
    if (Math.abs(counted / rate - 1) > clockTolerance) {
      throw this.#testpmd.child.failure(
        `reports ${Math.round(rate)} frames a second, its counters say ${Math.round(counted)}`,
      );
    }
    return rate;
  }
}

export function requireGenerator(): void {
  const reason = missingTestpmd();
  if (reason !== null) throw new Error(`Cannot generate load: ${reason}.`);
}

function macOf(port: number): string {
  return `02:00:00:00:00:${(port + 0x0a).toString(16).padStart(2, '0')}`;
}

function received(statistics: readonly PortStatistics[]): number {
  return statistics.reduce((sum, { rxPackets }) => sum + rxPackets, 0);
}

function failures(statistics: readonly PortStatistics[]): number {
  return statistics.reduce((sum, port) => sum + port.failures, 0);
}
