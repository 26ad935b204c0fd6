const SOON_MS = 100;

/**
 * Runs `act`, during which timers of exactly `deadlineMs` expire soon, so that a test need not wait
 * for a deadline of the product. The deadline's length is tested elsewhere, with a fake clock.
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
