import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const built = new URL('../../dist/src/index.js', import.meta.url);

const script = (socket: string): string => `
import { createNic } from ${JSON.stringify(built.href)};
const vfs = [{ name: 'vf', socket: ${JSON.stringify(socket)} }];
const nic = await createNic({ name: 'nic', processors: 2, vfs });
const isAsleep = () => nic.stats().processors.every(({ sleeps }) => sleeps > 0);
const look = () => (isAsleep() ? process.exit(3) : setImmediate(look));
look();
`;

// Node waits for the NIC's threads, which sleep in the kernel.
test('a program that exits without closing its NIC ends', async () => {
  expect(existsSync(fileURLToPath(built)), 'run "npm run build" first').toBe(true);
  const directory = await mkdtemp(join(tmpdir(), 'heddle-exit-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script(join(directory, 'vf.sock'))],
    { timeout: 20_000, killSignal: 'SIGKILL', encoding: 'utf8' },
  );
  expect({ status, signal, stderr }).toEqual({ status: 3, signal: null, stderr: '' });
}, 30_000);
