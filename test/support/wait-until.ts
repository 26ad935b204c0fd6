import { isDeepStrictEqual } from 'node:util';

/** Longer than any wait, even on a busy machine. */
const SECONDS_MAX = 40;

/**
 * Waits for a condition that no event reports, such as a counter. Throws after some seconds, with
 * the state at that time.
 */
export async function waitUntil(isTrue: () => boolean, state: () => unknown): Promise<void> {
  const end = Date.now() + SECONDS_MAX * 1000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`still waiting: ${JSON.stringify(state())}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/**
 * Waits until two counters of the same frames agree. They are read one after the other, and each
 * side counts a frame when it has finished with it, so a frame in flight makes them differ by one.
 * A frame that one side counted twice, or not at all, makes them differ for ever.
 */
export function untilSame(own: () => object, other: () => object): Promise<void> {
  const isSame = (): boolean => isDeepStrictEqual(own(), other());
  return waitUntil(isSame, () => ({ own: own(), other: other() }));
}

/** Awaits an event that must come within some seconds. Otherwise throws what `state` returns. */
export async function inTime<T>(event: Promise<T>, state: () => unknown): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new Error(`still waiting: ${JSON.stringify(state())}`));
    timer = setTimeout(fail, SECONDS_MAX * 1000);
  });
  try {
    return await Promise.race([event, late]);
  } finally {
    clearTimeout(timer);
  }
}
