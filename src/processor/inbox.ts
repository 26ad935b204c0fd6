import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { NODE_ROOT } from '../../layout/limits.ts';
import { PROCESSOR_DOORBELL } from '../../layout/processor.ts';
import type { Windows } from '../memory/windows.ts';
import { threadCpuMicroseconds } from '../os/cpu-time.ts';
import { isFatal } from '../state/last-will.ts';
import type { Pulse } from '../watchdog/pulse.ts';
import type { Firmware } from './firmware.ts';
import { type Envelope, failureOf, type Message, type Report } from './mailbox.ts';
import type { MessageHandler } from './message-handler.ts';

/**
 * CPU time after which no further message is taken before the next turn: the rings get their time
 * however many are posted. Most take a few microseconds; one that maps memory may take 300.
 */
const ROUND_MICROSECONDS_MAX = 100;

type HostWork = Pick<Firmware, 'beginHostWork' | 'chargeHostWork' | 'functionOf'>;

interface InboxOptions {
  port: MessagePort;
  /** The processor's record in shared memory, which contains the doorbell. */
  record: Int32Array;
  handler: MessageHandler;
  windows: Windows;
  firmware: HostWork;
  pulse: Pulse;
  report(report: Report): void;
}

/** Takes the control plane's messages, a few at a time, and answers each. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #doorbellAt = PROCESSOR_DOORBELL / 4;
  #seenDoorbell = 0;
  /** Messages that are answered once the windows of departed guests are unmapped. */
  readonly #late: number[] = [];
  /** The message "stop" was taken. */
  isStopped = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** One load from shared memory: cheap enough for every turn. */
  get hasMessages(): boolean {
    return Atomics.load(this.#options.record, this.#doorbellAt) !== this.#seenDoorbell;
  }

  take(): void {
    const { firmware, port } = this.#options;
    firmware.beginHostWork();
    let payer = NODE_ROOT;
    const doorbell = Atomics.load(this.#options.record, this.#doorbellAt);
    const start = threadCpuMicroseconds();
    while (threadCpuMicroseconds() - start < ROUND_MICROSECONDS_MAX) {
      const received = receiveMessageOnPort(port);
      if (received === undefined) {
        this.#seenDoorbell = doorbell; // unless updated, it brings us back for the rest
        break;
      }
      payer = this.#answer(received.message as Envelope);
    }
    firmware.chargeHostWork(payer); // the last one's is also that there are no more
  }

  /** Returns who pays for it. */
  #answer({ id, message }: Envelope): number {
    const { firmware, handler, windows, pulse, report } = this.#options;
    const payer = payerOf(message, firmware); // before a ring gets another owner
    if (message.kind === 'stop') this.isStopped = true;
    pulse.beat(); // there may be many messages, and each may map much memory
    try {
      const result = handler.handle(message);
      const isLate = message.kind === 'set-memory' && windows.hasLeftovers;
      if (isLate) this.#late.push(id);
      else report({ kind: 'done', id, result });
    } catch (error) {
      if (isFatal(error)) throw error;
      report(failureOf(id, error as Error));
    }
    firmware.chargeHostWork(payer);
    return payer;
  }

  /** Unmaps some windows of departed guests: one step, because a guest may have a million pages. */
  sweep(): void {
    const { firmware, windows, report } = this.#options;
    firmware.beginHostWork();
    firmware.chargeHostWork(windows.sweep() ?? NODE_ROOT);
    if (windows.hasLeftovers) return;
    for (const id of this.#late.splice(0)) report({ kind: 'done', id, result: true });
  }
}

/** The function that a message is about. What an operator asks of the NIC is for none. */
function payerOf(message: Message, firmware: HostWork): number {
  if ('owner' in message) return message.owner;
  if ('ring' in message) return firmware.functionOf(message.ring);
  return 'receiveRing' in message ? firmware.functionOf(message.receiveRing) : NODE_ROOT;
}
