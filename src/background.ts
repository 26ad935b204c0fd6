// Work that nobody waits for, and what becomes of it when it fails. This file imports nothing, so
// that src/os may use it too.

/** A mistake of ours that no caller can be told of. */
export interface Failure {
  /** What was being done: "cannot <what>" is how it is told. */
  readonly what: string;
  readonly error: Error;
}

type FailureListener = (failure: Failure) => void;

const listeners = new Set<FailureListener>();
let isReporting = false;

/** Calls `listener` for each failure in this process. Returns how to stop it. */
export function onFailure(listener: FailureListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Tells whoever listens; without a listener it becomes a warning of the process. Never throws. */
export function reportFailure(what: string, cause: unknown): void {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  // A failure of those who are told is not told to them: that would never end.
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

/** Lets a promise go its own way. This is the only place that may: its failure is reported. */
export function inBackground(what: string, work: Promise<unknown> | undefined): void {
  work?.catch((error: unknown) => reportFailure(what, error));
}

/** Calls foreign code, or a listener: what it throws is reported and stops nobody else. */
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
 * For what must come to its end: takes every step, in order, whatever becomes of those before it.
 * Failures are reported.
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
