const SOON_MS = 100;

/**
 * Runs `act` with timers of just `deadlineMs` due soon: for a deadline of the product that a test
 * would have to sit out. How long it is, is tested where it belongs, with a clock of the test's.
 */
export async function hastened<T>(deadlineMs: number, act: () => Promise<T>): Promise<T> {
  const { setTimeout } = globalThis;
  const hasten = (work: () => void, after?: number): NodeJS.Timeout =>
    setTimeout(work, after === deadlineMs ? SOON_MS : after);
  globalThis.setTimeout = hasten as typeof setTimeout;
  try {
    return await act();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
}
