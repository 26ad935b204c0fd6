import type { Session } from './session.ts';

/**
 * Stops the rings of a function if none may run now, and starts those that may. Runs between two
 * requests of the front-end. A ring that a fault has stopped stays stopped.
 */
export function reviewRings(session: Session): Promise<void> {
  const { device } = session;
  return session.inTurn(async () => {
    for (const queue of device.startProblem === null ? [] : device.rings.queues()) {
      if (!device.rings.isRunning(queue) || device.rings.state(queue) === 'faulted') continue;
      session.rings.setup(queue).base = await device.rings.stop(queue, true);
    }
    if (session.state !== 'closed') await session.rings.startAgain();
  });
}
