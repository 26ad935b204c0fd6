import { run } from '../../src/cli/program.ts';
import type { NicConfigInput } from '../../src/config/types.ts';
import { FakeNic } from './fake-nic.ts';

// The command with a NIC that moves no frames. SIGUSR2 makes it report two events. Environment
// variables: FAKE_WAITS delays the start until SIGHUP, FAKE_HANGS keeps the NIC from ever closing,
// and FAKE_FAILS throws two uncaught errors before the events.

async function createNic(config: NicConfigInput): Promise<FakeNic> {
  if (process.env.FAKE_WAITS) await waitForHangUp();
  const nic = new FakeNic(config);
  if (process.env.FAKE_HANGS) nic.close = () => new Promise(() => {});
  process.on('SIGUSR2', () => {
    if (process.env.FAKE_FAILS) failUncaught();
    nic.emit('connect', { vf: 'vm1' });
    nic.emit('fault', { vf: 'vm1', queue: 1, reason: 'chain-length' });
  });
  return nic;
}

async function waitForHangUp(): Promise<void> {
  process.stdout.write('starting\n');
  const alive = setInterval(() => undefined, 1000);
  await new Promise((resolve) => process.once('SIGHUP', resolve));
  clearInterval(alive);
}

function failUncaught(): void {
  setImmediate(() => {
    throw new Error('thrown and uncaught');
  });
  void Promise.reject(new Error('rejected and uncaught'));
}

process.exitCode = await run(process.argv.slice(2), { createNic });
