// A NIC inside your own program: two VFs, a third one added while it runs, events and counters.
//
//   node examples/embed.mjs [SECONDS]

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNic, OperatorError, qemuArguments, shellText } from 'heddle';

const seconds = Number(process.argv[2] ?? 10);
const directory = await mkdtemp(join(tmpdir(), 'heddle-embed-'));

const nic = await createNic({
  name: 'embedded',
  vfs: [
    { name: 'vm1', socket: join(directory, 'vm1.sock') },
    { name: 'vm2', socket: join(directory, 'vm2.sock'), queuePairs: 2 },
  ],
});

try {
  nic.on('connect', ({ vf }) => console.log(`${vf}: a VM has connected`));
  nic.on('ready', ({ vf }) => console.log(`${vf}: its driver is running`));
  nic.on('disconnect', ({ vf }) => console.log(`${vf}: the VM has disconnected`));
  nic.on('fault', ({ vf, reason }) => console.log(`${vf}: stopped, ${reason}`));

  // VFs can be added and removed without disturbing the others.
  await nic.addVf({ name: 'vm3', socket: join(directory, 'vm3.sock') });

  // What an operator can fix is an OperatorError: a code, a message and a hint.
  await nic.addVf({ name: 'vm3', socket: '/tmp/other.sock' }).catch((error) => {
    if (!(error instanceof OperatorError)) throw error;
    console.log(`${error.code}: ${error.message}\n  ${error.hint}`);
  });

  for (const vf of nic.vfs()) {
    console.log(`\nattach a VM to ${vf.name}:`);
    console.log(shellText(['qemu-system-x86_64', ...qemuArguments(vf)]));
  }

  for (let second = 0; second < seconds; second++) {
    await sleep(1000);
    for (const { name, state, tx, rx } of nic.stats().vfs) {
      console.log(`${name}: ${state}, ${tx.packets} packets sent, ${rx.packets} received`);
    }
  }
} finally {
  await nic.close();
  await rm(directory, { recursive: true, force: true });
}
