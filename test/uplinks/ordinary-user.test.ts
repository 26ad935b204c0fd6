import { execFileSync } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { UplinkConfigInput } from '../../src/uplinks/config.ts';
import { enterNamespace, ip, namespaceMissing } from '../support/namespace.ts';
import { xdpMissing } from '../support/xdp.ts';

// What a user without privileges may do, and the errors for missing ones. The NIC runs in a process
// of that user, in the same network namespace.

const USER = 65534;
const library = fileURLToPath(new URL('../../dist/src/index.js', import.meta.url));

interface Outcome {
  state?: string;
  code?: string;
  message?: string;
  hint?: string;
}

let directory: string;

beforeAll(() => {
  if (namespaceMissing === undefined) enterNamespace();
});

beforeEach(({ skip }) => {
  directory = mkdtempSync(join(tmpdir(), 'heddle-user-'));
  chmodSync(directory, 0o777);
  const reason = namespaceMissing ?? missingForUser();
  if (reason !== undefined) return skip(reason);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Capabilities that the user has anyway, and the memory that it may lock. */
interface Rights {
  capabilities: readonly string[];
  lockedBytes: number;
}

function asUser(script: string, rights?: Rights): string {
  const file = join(directory, 'script.mjs');
  writeFileSync(file, script);
  const [program, ...words] = [...commandWith(rights), process.execPath, file];
  return execFileSync(program ?? '', words, {
    ...{ cwd: '/', encoding: 'utf8', timeout: 30_000 },
    ...(rights === undefined ? { uid: USER, gid: USER } : {}),
    env: { ...process.env, HOME: directory, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function commandWith(rights: Rights | undefined): string[] {
  if (rights === undefined) return [];
  const capabilities = rights.capabilities.map((name) => `+${name}`).join(',');
  return [
    ...['prlimit', `--memlock=${rights.lockedBytes}`],
    ...['setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'],
    ...[`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`],
  ];
}

/** Why an ordinary user cannot run a NIC here, or undefined. */
function missingForUser(): string | undefined {
  try {
    asUser(`await import(${JSON.stringify(library)})`);
    return undefined;
  } catch {
    return 'an ordinary user cannot read this directory';
  }
}

function addUplink(config: UplinkConfigInput, rights?: Rights): Outcome {
  const vf = { name: 'vf0', socket: join(directory, 'vf0.sock') };
  const nic = { name: 'plain', processors: 1, vfs: [vf] };
  const script = `
    import { createNic } from ${JSON.stringify(library)};
    const nic = await createNic(${JSON.stringify(nic)});
    let outcome;
    try {
      await nic.addUplink(${JSON.stringify(config)});
      const isUp = () => nic.uplinks()[0].state === 'up';
      if (!isUp()) await new Promise((resolve) => nic.on('uplink-up', resolve));
      outcome = { state: nic.uplinks()[0].state };
    } catch ({ code, message, hint }) {
      outcome = { code, message, hint };
    }
    await nic.close();
    console.log(JSON.stringify(outcome));
  `;
  return JSON.parse(asUser(script, rights)) as Outcome;
}

describe('an ordinary user', () => {
  test('can use a TAP that they own, which stays', ({ skip }) => {
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    } catch {
      return skip('there is no /dev/net/tun');
    }
    ip(`tuntap add mode tap name owned user ${USER}`);
    ip('link set owned up');
    try {
      expect(addUplink({ name: 'up', type: 'tap', interface: 'owned' })).toEqual({ state: 'up' });
      expect(ip('link')).toContain('owned');
    } finally {
      ip('link delete owned');
    }
  });

  test('is told what an administrator must do for a TAP', () => {
    ip('tuntap add mode tap name foreign user 0');
    try {
      const outcome = addUplink({ name: 'up', type: 'tap', interface: 'foreign' });
      expect(outcome.code).toBe('HEDDLE_UPLINK_RIGHTS');
      expect(outcome.hint).toContain('ip tuntap add');
    } finally {
      ip('link delete foreign');
    }
  });

  test('is told what an administrator must do for a packet socket', () => {
    const outcome = addUplink({ name: 'up', type: 'packet', interface: 'lo' });
    expect(outcome.code).toBe('HEDDLE_UPLINK_RIGHTS');
    expect(outcome.message).toContain('open a packet socket');
    expect(outcome.hint).toContain('cap_net_raw');
  });

  test('is told what an administrator must do for AF_XDP', ({ skip }) => {
    const missing = xdpMissing();
    if (missing !== undefined) return skip(missing);
    const outcome = addUplink({ name: 'up', type: 'xdp', interface: 'lo' });
    expect(outcome.code).toBe('HEDDLE_UPLINK_RIGHTS');
    expect(outcome.hint).toContain('cap_bpf');
  });

  test('is told which limit keeps AF_XDP from locking its memory', ({ skip }) => {
    const missing = xdpMissing();
    if (missing !== undefined) return skip(missing);
    ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) ip(`link set ${name} up`);
    try {
      const capabilities = ['net_raw', 'net_admin', 'bpf'];
      const config = { name: 'up', type: 'xdp', interface: 'near' } as const;
      const outcome = addUplink(config, { capabilities, lockedBytes: 0x200000 });
      expect(outcome.code).toBe('HEDDLE_UPLINK_XDP_MEMLOCK');
      expect(outcome.message).toContain('RLIMIT_MEMLOCK');
      expect(outcome.message).toContain('on near: it locks 8 MiB');
      expect(outcome.message).toContain('allows this user 2 MiB');
      expect(outcome.hint).toContain('ulimit -l');
    } finally {
      ip('link delete near');
    }
  });
});
