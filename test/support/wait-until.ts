const SECONDS_MAX = 10;

/**
 * Waits for something of which no event tells, such as a counter. Throws if it is not so after some
 * seconds, with what `state` returns then.
 */
export async function waitUntil(isTrue: () => boolean, state: () => unknown): Promise<void> {
  const end = Date.now() + SECONDS_MAX * 1000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`still waiting: ${JSON.stringify(state())}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
