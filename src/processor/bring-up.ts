import { everyStep, inBackground } from '../background.ts';
import type { Raiser } from '../os/raiser.ts';
import { attachProblem } from '../state/ring-problem.ts';
import type { SharedState } from '../state/shared-state.ts';
import type { NicFunction } from './fabric.ts';
import {
  type FunctionView,
  type RingView,
  receivingMessages,
  sendingMessages,
} from './function-view.ts';
import type { Message, RingPins } from './mailbox.ts';

/** The processor to bring up, and the parts of the NIC that this needs. */
export interface BringUp {
  readonly index: number;
  readonly shared: SharedState;
  readonly raiser: Raiser;
  /** Posts to this processor and no other. */
  post(message: Message): Promise<boolean>;
}

/** A message posted to the processor on behalf of a function, and its answer. */
interface Told {
  readonly message: Message;
  readonly answer: Promise<boolean>;
}

/**
 * Brings an empty processor up to date: a first one, a replacement for a dead one, or one of a NIC
 * that was saved.
 *
 *     views of all functions ─► memory, translations, receive rings, port, wires ─► transmit rings
 *
 * Everything is posted in one go, so every later change is queued behind it: nothing is told twice
 * and nothing is missed. Functions are independent: one that fails is set aside, the others are
 * brought up. Resolves when the processor has answered everything.
 */
export async function bringUp(functions: readonly NicFunction[], to: BringUp): Promise<void> {
  const told = new Map<NicFunction, Told[]>(functions.map((one) => [one, []]));
  const views = functions.map((one) => [one, viewOf(one, to.index)] as const);
  for (const messagesOf of [receivingMessages, sendingMessages]) {
    for (const [one, view] of views) {
      for (const message of view === null ? [] : messagesOf(view, to.index)) {
        told.get(one)?.push({ message, answer: to.post(message) });
      }
    }
  }
  await Promise.all([...told].map(([one, what]) => settle(one, what, to)));
}

function viewOf(one: NicFunction, index: number): FunctionView | null {
  try {
    return one.view();
  } catch (error) {
    setAside(one, index, error as Error);
    return null;
  }
}

async function settle(one: NicFunction, told: readonly Told[], to: BringUp): Promise<void> {
  if (told.length === 0) return; // nothing to tell, or it was set aside
  const results = await Promise.allSettled(told.map(({ answer }) => answer));
  const rings = viewOf(one, to.index)?.rings ?? [];
  let failure: Error | null = null;
  for (const [index, result] of results.entries()) {
    const message = told[index]?.message;
    if (message?.kind === 'attach-ring') {
      const ring = ringOf(rings, message.pins);
      // It may have been stopped in the meantime, or even started again.
      if (ring === undefined) continue;
      if (result.status === 'rejected') loseRing(one, ring, result.reason as Error, to);
      // The dead thread may have owed this guest an interrupt.
      else if (result.value) to.raiser.raise(ring.call);
    } else if (result.status === 'rejected') {
      failure ??= result.reason as Error;
    }
  }
  if (failure !== null) setAside(one, to.index, failure);
}

function ringOf(rings: readonly RingView[], pins: RingPins): RingView | undefined {
  return rings.find((ring) => ring.pins === pins);
}

/** The ring can no longer be attached: stops it. The other rings keep running. */
function loseRing(one: NicFunction, { ring }: RingView, error: Error, { shared }: BringUp): void {
  const problem = attachProblem(error);
  shared.countFault(ring, problem.fault); // no processor has the ring, so none counts the fault
  const telling = one.onRingFault(ring - one.ringBlock.first, problem);
  inBackground('stop a ring that cannot be attached', telling);
}

function setAside(one: NicFunction, index: number, { message }: Error): void {
  const reason = `processor ${index} cannot attach it: ${message}`;
  inBackground(
    'set a function aside',
    everyStep('set a function aside', [() => one.setAside(reason)]),
  );
}
