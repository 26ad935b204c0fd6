import { FDB_SET_COUNT } from '../../layout/switch.ts';
import type { Fabric } from './fabric.ts';
import type { Message } from './mailbox.ts';

/** Sets of a message: 256 KiB of the table. Between two, a processor moves frames. */
const FORGET_SETS = 4096;

/** Everything that the MAC table knows of a port is forgotten. */
export async function forgetPort(
  fabric: Fabric,
  { port, processor }: { port: number; processor: number },
): Promise<void> {
  for (let firstSet = 0; firstSet < FDB_SET_COUNT; firstSet += FORGET_SETS) {
    await postToAny(fabric, processor, { kind: 'forget-port', port, firstSet, sets: FORGET_SETS });
  }
}

/** The table is all processors', and what is left in it would belong to the number's next port. */
async function postToAny(fabric: Fabric, first: number, message: Message): Promise<void> {
  for (let tries = 0; tries <= fabric.processorCount; tries++) {
    if (await fabric.post((first + tries) % fabric.processorCount, message)) return;
  }
}
