// QEMU's monitor protocol (QMP): each command is one line of JSON.

import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

interface Line {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

/** Sends QEMU one command. Resolves when it has been carried out; rejects with QEMU's error. */
export async function commandQemu(
  monitorSocket: string,
  command: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<void> {
  const socket = connect(monitorSocket);
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const ask = async (request: object): Promise<void> => {
    socket.write(`${JSON.stringify(request)}\n`);
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`QEMU hung up at "${command}"`);
      const line = JSON.parse(value) as Line;
      if (line.error !== undefined) throw new Error(`QEMU on "${command}": ${line.error.desc}`);
      // Anything else is the greeting or an event.
      if ('return' in line) return;
    }
  };
  try {
    await once(socket, 'connect');
    await ask({ execute: 'qmp_capabilities' });
    await ask({ execute: command, arguments: parameters });
  } finally {
    socket.destroy();
  }
}
