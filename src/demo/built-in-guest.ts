// One built-in guest: a process of its own with its own driver. The parent controls it over IPC.

import { inBackground } from '../background.ts';
import { ethernetFrame } from '../testing/frames.ts';
import { MockGuest } from '../testing/mock-guest.ts';

/** What the parent asks for, and the reply, which has the same id. */
export type GuestRequest =
  | { id: number; kind: 'ping'; peerMac: string; timeoutMs: number }
  | { id: number; kind: 'send'; peerMac: string; seconds: number }
  | { id: number; kind: 'receivedBytes' };
export type GuestReply = { id: number; value: number };

/** An EtherType for local experiments (IEEE 802); the next byte is the kind of frame. */
const TYPE = 0x88b5;
const ETHERNET_SIZE = 14;
const ECHO_REQUEST = 1;
const ECHO_REPLY = 2;
const DATA = 3;
const FRAME_SIZE = 1514;
/** Frames between two reads of the clock. */
const BURST = 64;

class BuiltInGuest {
  readonly #mac: string;
  #driver: MockGuest | null = null;
  #receivedBytes = 0;
  #onReply: () => void = () => {};

  constructor(mac: string) {
    this.#mac = mac;
  }

  async start(socket: string): Promise<void> {
    this.#driver = await MockGuest.connect(socket, {
      queueSize: 1024,
      slots: 1024,
      layout: 'shared',
      indirectShare: 0,
      canaries: false,
      onFrame: (frame) => this.#receive(frame),
    });
  }

  answer(request: GuestRequest): Promise<number> {
    if (request.kind === 'ping') return this.#ping(request.peerMac, request.timeoutMs);
    if (request.kind === 'send') return this.#sendFor(request.peerMac, request.seconds);
    return Promise.resolve(this.#receivedBytes);
  }

  get #guest(): MockGuest {
    if (this.#driver === null) throw new Error('assertion: the guest has not started');
    return this.#driver;
  }

  /** The round-trip time in milliseconds, or −1 if nothing came back. */
  #ping(peerMac: string, timeoutMs: number): Promise<number> {
    return new Promise((resolve) => {
      const start = performance.now();
      const timer = setTimeout(() => resolve(-1), timeoutMs);
      this.#onReply = () => {
        clearTimeout(timer);
        resolve(performance.now() - start);
      };
      this.#guest.send(this.#frame(peerMac, ECHO_REQUEST, 98));
    });
  }

  /** Sends as fast as the ring allows; returns the frames sent. */
  async #sendFor(peerMac: string, seconds: number): Promise<number> {
    const frame = this.#frame(peerMac, DATA, FRAME_SIZE);
    const burst = Array.from({ length: BURST }, () => frame);
    const end = performance.now() + seconds * 1000;
    let frames = 0;
    while (performance.now() < end) {
      await this.#guest.sendAll(burst);
      frames += BURST;
      // Lets arrived frames, and messages of the parent, be handled.
      await new Promise(setImmediate);
    }
    await this.#guest.waitTransmitted();
    return frames;
  }

  #receive(frame: Uint8Array): void {
    const kind = frame[ETHERNET_SIZE];
    if (frame[12] !== TYPE >> 8 || frame[13] !== (TYPE & 0xff)) return;
    if (kind === DATA) this.#receivedBytes += frame.length;
    if (kind === ECHO_REPLY) this.#onReply();
    if (kind !== ECHO_REQUEST) return;
    const reply = Uint8Array.from(frame);
    reply.copyWithin(0, 6, 12); // to its sender
    reply.set(this.#frame('00:00:00:00:00:00', ECHO_REPLY, 60).subarray(6, 15), 6);
    this.#guest.send(reply);
  }

  #frame(to: string, kind: number, length: number): Uint8Array {
    const payload = new Uint8Array(length - ETHERNET_SIZE);
    payload[0] = kind;
    return ethernetFrame({ to, from: this.#mac }, TYPE, payload);
  }
}

async function main(): Promise<void> {
  const [socket, mac] = process.argv.slice(2);
  if (socket === undefined || mac === undefined) throw new Error('assertion: socket and MAC');
  const guest = new BuiltInGuest(mac);
  await guest.start(socket);
  process.on('message', (request: GuestRequest) => {
    const answering = guest.answer(request).then((value) => {
      const reply: GuestReply = { id: request.id, value };
      process.send?.(reply);
    });
    inBackground('answer the demo', answering);
  });
  // Nobody else would stop it.
  process.on('disconnect', () => process.exit(0));
  process.send?.({ id: 0, value: 0 } satisfies GuestReply);
}

await main();
