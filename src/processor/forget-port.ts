import { FDB_SET_COUNT } from '../../layout/switch.ts';
import type { Fabric } from './fabric.ts';
import type { Message } from './mailbox.ts';

/** Sets per message: 256 KiB of the table. The processor moves frames between two messages. */
const FORGET_SETS = 4096;

/** Removes everything that the MAC table knows about a port. */
export async function forgetPort(
  fabric: Fabric,
  { port, processor }: { port: number; processor: number },
): Promise<void> {
  for (let firstSet = 0; firstSet < FDB_SET_COUNT; firstSet += FORGET_SETS) {
    await postToAny(fabric, processor, { kind: 'forget-port', port, firstSet, sets: FORGET_SETS });
  }
}

/**
 * Any processor will do, since they share the table. Entries left in it would belong to the next
 * port with the same number.
 */
async function postToAny(fabric: Fabric, first: number, message: Message): Promise<void> {
  for (let tries = 0; tries <= fabric.processorCount; tries++) {
    if (await fabric.post((first + tries) % fabric.processorCount, message)) return;
  }
}
