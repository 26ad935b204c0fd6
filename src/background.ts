// Background work, and what happens when it fails. This file imports nothing, so that src/os can
// use it too.

/** A bug of ours that no caller can be told of. */
export interface Failure {
  /** What was being done; it is reported as "cannot <what>". */
  readonly what: string;
  readonly error: Error;
}

type FailureListener = (failure: Failure) => void;

const listeners = new Set<FailureListener>();
let isReporting = false;

/** Calls `listener` for each failure in this process. Returns a function that stops it. */
export function onFailure(listener: FailureListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells the listeners; without any, the failure becomes a process warning. Never throws. */
export function reportFailure(what: string, cause: unknown): void {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  // A failure of a listener is not reported to listeners: that might never end.
  if (listeners.size === 0 || isReporting) {
    warn(what, error);
    return;
  }
  isReporting = true;
  for (const listener of listeners) {
    try {
      listener({ what, error });
    } catch (failed) {
      warn(`report "${what}"`, failed);
    }
  }
  isReporting = false;
}

function warn(what: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  process.emitWarning(`cannot ${what}: ${reason}`, 'HeddleFailure');
}

/** Leaves a promise alone and reports its failure. Only this function may leave one alone. */
export function inBackground(what: string, work: Promise<unknown> | undefined): void {
  work?.catch((error: unknown) => reportFailure(what, error));
}

/** Calls foreign code, such as a listener; what it throws is reported and stops nobody else. */
export function guarded(what: string, call: () => void): boolean {
  try {
    call();
    return true;
  } catch (error) {
    reportFailure(what, error);
    return false;
  }
}

/**
 * A timer whose work cannot throw into the event loop, where it would end the process: what it
 * throws is reported.
 */
export function later(what: string, milliseconds: number, work: () => void): NodeJS.Timeout {
  return setTimeout(() => guarded(what, work), milliseconds);
}

/**
 * For tear-down: takes every step, in order, whether or not earlier ones failed. Failures are
 * reported.
 */
export async function everyStep(what: string, steps: readonly (() => unknown)[]): Promise<void> {
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      reportFailure(what, error);
    }
  }
}
