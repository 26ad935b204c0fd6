import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadConfig } from '../src/config/load.ts';
import { NIC_KEYS, VF_KEYS } from '../src/config/schema.ts';
import { heddle } from '../test/support/command-process.ts';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

it('nic.yaml is valid, and shows every key except the control socket', () => {
  const config = loadConfig(here('nic.yaml'));
  expect(config.vfs).toHaveLength(3);
  expect(config.uplinks).toHaveLength(1);
  // Defaults fill in missing keys, so look for the keys in the text.
  const text = readFileSync(here('nic.yaml'), 'utf8');
  const nicKeys = NIC_KEYS.filter((key) => key !== 'control');
  for (const key of nicKeys) expect(text).toMatch(new RegExp(`^${key}:`, 'm'));
  for (const key of VF_KEYS) expect(text).toMatch(new RegExp(`^ {2}[- ] ${key}:`, 'm'));
});

// Imports the package as its users do, so it needs a build.
it('embed.mjs runs to its end', async () => {
  expect(existsSync(here('../dist/src/index.js')), 'run "npm run build" first').toBe(true);
  const { code, stdout, stderr } = await heddle(['1'], {}, here('embed.mjs'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain('HEDDLE_VF_EXISTS: The NIC already has a VF');
  expect(stdout).toContain('-device virtio-net-pci,netdev=net-vm2,mac=');
  expect(stdout).toContain('vm3: down, 0 packets sent, 0 received');
});
