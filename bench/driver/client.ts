// The harness's end of the driver process.

import { fileURLToPath } from 'node:url';
import { Child } from '../child.ts';
import { generatorCore, type Peer } from '../peers/peer.ts';
import type {
  ConnectAnswer,
  ConnectRequest,
  CopyAnswer,
  CopyRequest,
  DriverRequest,
  FloodAnswer,
  FloodRequest,
  LoopAnswer,
  LoopRequest,
  OfferAnswer,
  OfferRequest,
  PingAnswer,
  PingRequest,
  ShareAnswer,
  ShareRequest,
  SinkAnswer,
  SinkRequest,
} from './protocol.ts';

const script = fileURLToPath(new URL('./main.js', import.meta.url));
const connectSeconds = 40;
const answerSeconds = 60;

export type DriverOptions = Partial<
  Pick<
    ConnectRequest,
    'ringSize' | 'frameBytes' | 'chunks' | 'hasHugePages' | 'superFrames' | 'works'
  >
>;

export class Driver {
  readonly #child: Child;
  readonly #request: ConnectRequest;
  #read = 0;

  /** For a switch that is already running. */
  constructor(sockets: readonly string[], peer: Peer, options: DriverOptions) {
    // 60 bytes: the smallest Ethernet frame, without its checksum of 4 bytes.
    const frames = { frameBytes: [60], superFrames: null, works: null };
    const defaults = { ringSize: 1024, ...frames, chunks: null, hasHugePages: true };
    const isListening = peer.socketRole === 'connects';
    const switchPids = peer.pids();
    const given = { sockets, isListening, switchPids };
    this.#request = { command: 'connect', ...given, ...defaults, ...options };
    const cores = String(generatorCore);
    this.#child = new Child('the driver', process.execPath, [script], { cores });
  }

  async connect(): Promise<ConnectAnswer> {
    return (await this.#ask(this.#request, connectSeconds)) as ConnectAnswer;
  }

  async introduce(): Promise<void> {
    await this.#ask({ command: 'introduce' });
  }

  async greet(): Promise<void> {
    await this.#ask({ command: 'greet' });
  }

  async share(request: Omit<ShareRequest, 'command'>): Promise<ShareAnswer> {
    return (await this.#ask({ command: 'share', ...request })) as ShareAnswer;
  }

  async loop(request: Omit<LoopRequest, 'command'>): Promise<LoopAnswer> {
    return (await this.#ask({ command: 'loop', ...request })) as LoopAnswer;
  }

  async offer(request: Omit<OfferRequest, 'command'>): Promise<OfferAnswer> {
    return (await this.#ask({ command: 'offer', ...request })) as OfferAnswer;
  }

  async ping(request: Omit<PingRequest, 'command'>): Promise<PingAnswer> {
    return (await this.#ask({ command: 'ping', ...request })) as PingAnswer;
  }

  async flood(request: Omit<FloodRequest, 'command'>): Promise<FloodAnswer> {
    return (await this.#ask({ command: 'flood', ...request })) as FloodAnswer;
  }

  async sink(request: Omit<SinkRequest, 'command'>): Promise<SinkAnswer> {
    return (await this.#ask({ command: 'sink', ...request })) as SinkAnswer;
  }

  async copy(request: Omit<CopyRequest, 'command'>): Promise<CopyAnswer> {
    return (await this.#ask({ command: 'copy', ...request })) as CopyAnswer;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }

  tail(): string {
    return this.#child.tail();
  }

  async #ask(request: DriverRequest, seconds = answerSeconds): Promise<unknown> {
    this.#child.write(`${JSON.stringify(request)}\n`);
    const from = this.#read;
    this.#read = await this.#child.waitFor(/^(answer|failure) .*\n/m, from, seconds, 'printed');
    const text = this.#child.printed.slice(from, this.#read).trimEnd();
    const line = text.slice(text.lastIndexOf('\n') + 1);
    const blank = line.indexOf(' ');
    const value: unknown = JSON.parse(line.slice(blank + 1));
    if (line.startsWith('answer')) return value;
    throw new Error(`the driver could not ${request.command}: ${String(value)}`);
  }
}
