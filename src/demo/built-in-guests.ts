import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { GuestReply, GuestRequest } from './built-in-guest.ts';
import type { Attachment, Direction, GuestPair } from './guest-pair.ts';

const PING_TIMEOUT_MS = 1000;
const CONNECT_TRIES = 30;
const STOP_TIMEOUT_MS = 2000;

type Question = GuestRequest extends infer Request
  ? Request extends GuestRequest
    ? Omit<Request, 'id'>
    : never
  : never;

/** Two processes that speak vhost-user and drive virtio rings, for machines without QEMU. */
export function startBuiltInGuests(first: Attachment, second: Attachment): GuestPair {
  return new BuiltInGuests(new GuestProcess(first), new GuestProcess(second));
}

/** One guest process, and the requests that it has not answered yet. */
class GuestProcess {
  readonly mac: string;
  readonly started: Promise<number>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (value: number) => void>();
  readonly #failed: Promise<never>;
  #lastId = 0;

  constructor({ name, socket, mac }: Attachment) {
    this.mac = mac;
    this.#child = fork(guestScript(), [socket, mac], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', ({ id, value }: GuestReply) => {
      this.#waiting.get(id)?.(value);
      this.#waiting.delete(id);
    });
    this.#failed = once(this.#child, 'exit').then(([code]) => {
      throw new Error(`The built-in guest at ${name} ended with ${code ?? 'a signal'}`);
    });
    this.#failed.catch(() => undefined); // callers of `ask` get it
    // Its first message, number 0, says that its rings run.
    this.started = this.#answerTo(0);
  }

  ask(question: Question): Promise<number> {
    const id = ++this.#lastId;
    const answer = this.#answerTo(id);
    this.#child.send({ ...question, id });
    return answer;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    this.#child.kill();
    await exit;
    clearTimeout(timer);
  }

  #answerTo(id: number): Promise<number> {
    const answer = new Promise<number>((resolve) => {
      this.#waiting.set(id, resolve);
    });
    const result = Promise.race([answer, this.#failed]);
    result.catch(() => undefined);
    return result;
  }
}

class BuiltInGuests implements GuestPair {
  readonly kind = 'built-in';
  readonly #first: GuestProcess;
  readonly #second: GuestProcess;

  constructor(first: GuestProcess, second: GuestProcess) {
    this.#first = first;
    this.#second = second;
  }

  async connected(): Promise<void> {
    await Promise.all([this.#first.started, this.#second.started]);
    for (let tries = 0; tries < CONNECT_TRIES; tries++) {
      if ((await this.ping(1)).length > 0) return;
    }
    throw new Error('The built-in guests do not answer each other');
  }

  async ping(count: number): Promise<number[]> {
    const times: number[] = [];
    const question = {
      kind: 'ping',
      peerMac: this.#second.mac,
      timeoutMs: PING_TIMEOUT_MS,
    } as const;
    for (let i = 0; i < count; i++) {
      const time = await this.#first.ask(question);
      if (time >= 0) times.push(time);
    }
    return times;
  }

  async stream(direction: Direction, seconds: number): Promise<number> {
    const isForward = direction === 'forward';
    const sender = isForward ? this.#first : this.#second;
    const receiver = isForward ? this.#second : this.#first;
    const before = await receiver.ask({ kind: 'receivedBytes' });
    const start = performance.now();
    await sender.ask({ kind: 'send', peerMac: receiver.mac, seconds });
    const elapsedSeconds = (performance.now() - start) / 1000;
    const bytes = (await receiver.ask({ kind: 'receivedBytes' })) - before;
    return (bytes * 8) / 1e6 / elapsedSeconds;
  }

  async close(): Promise<void> {
    await Promise.all([this.#first.close(), this.#second.close()]);
  }
}

/** Node 20 cannot run TypeScript: a checkout uses the JavaScript in dist/. */
function guestScript(): string {
  const isSource = import.meta.url.endsWith('.ts');
  const script = isSource ? '../../dist/src/demo/built-in-guest.js' : './built-in-guest.js';
  return fileURLToPath(new URL(script, import.meta.url));
}
