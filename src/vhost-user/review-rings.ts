import type { Session } from './session.ts';

/**
 * No ring of a VF may start any more, or they may again. Between two requests of the front-end;
 * those that a fault stopped stay so.
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
