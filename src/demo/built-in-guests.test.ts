import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { assertBalanced } from '../../test/support/assert-balanced.ts';
import { createNic } from '../index.ts';
import { startBuiltInGuests } from './built-in-guests.ts';
import type { Attachment } from './guest-pair.ts';

it('two built-in guests ping each other and stream both ways', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-built-in-'));
  const vfs = ['vm1', 'vm2'].map((name) => ({ name, socket: join(directory, `${name}.sock`) }));
  const nic = await createNic({ name: 'nic0', vfs });
  const pair = startBuiltInGuests(...(nic.vfs() as unknown as [Attachment, Attachment]));
  try {
    expect(pair.kind).toBe('built-in');
    await pair.connected();
    const times = await pair.ping(5);
    expect(times.length).toBe(5);
    for (const time of times) expect(time).toBeGreaterThan(0);
    expect(await pair.stream('forward', 1)).toBeGreaterThan(1);
    expect(await pair.stream('reverse', 1)).toBeGreaterThan(1);
    assertBalanced(nic.stats());
  } finally {
    await pair.close();
    await nic.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
