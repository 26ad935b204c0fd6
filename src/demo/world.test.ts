import { get } from 'node:http';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { enterNamespace, ip, namespaceMissing } from '../../test/support/namespace.ts';
import { operatorError } from '../errors.ts';
import type { Nic } from '../nic/types.ts';
import type { UplinkConfigInput } from '../uplinks/config.ts';
import type { Cleanups } from './cleanups.ts';
import { findProgram } from './guest/requirements.ts';
import type { GuestPair, PageServer } from './guest-pair.ts';
import { reachWorld } from './world.ts';

// Which uplink `npm start` uses. The guest is this process; test/vm tests the demo's VMs.

vi.mock('./guest/requirements.ts', { spy: true });

const cleanups: Cleanups = [];
const added: UplinkConfigInput[] = [];
const said: string[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const clean of cleanups.splice(0)) await clean();
  added.length = 0;
  said.length = 0;
});

function have({ passt, root }: { passt: boolean; root: boolean }): void {
  vi.mocked(findProgram).mockImplementation((name) =>
    name === 'passt' && passt ? '/usr/bin/passt' : undefined,
  );
  vi.spyOn(process, 'getuid').mockReturnValue(root ? 0 : 1000);
}

function reach(addUplink: (config: UplinkConfigInput) => void, address: string) {
  const nic = {
    addUplink: async (config: UplinkConfigInput) => {
      added.push(config);
      addUplink(config);
    },
  } as unknown as Nic;
  const fetchPage = async ({ port, host = '127.0.0.1' }: PageServer) => ({
    address,
    page: await fetchText(`http://${host}:${port}/`),
  });
  const pair = { fetchPage } as unknown as GuestPair;
  return reachWorld(nic, pair, cleanups, (line) => said.push(line));
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

describe('the demo’s uplink', () => {
  test.each([true, false])('is passt if it is installed (root: %s)', async (root) => {
    have({ passt: true, root });
    const report = await reach(() => undefined, '192.0.2.7');
    expect(added).toEqual([{ name: 'world', type: 'passt' }]);
    expect(report).toMatchObject({ uplink: 'passt', address: '192.0.2.7' });
    expect(said).toEqual([expect.stringMatching(/through passt.*192\.0\.2\.7 from DHCP/)]);
  });

  test.for([
    ['passt is not installed', false],
    ['passt may not run', true],
  ] as const)('is a TAP for root if %s', async ([, passt], { skip }) => {
    if (namespaceMissing !== undefined) return skip(namespaceMissing);
    enterNamespace();
    have({ passt, root: true });
    const report = await reach((config) => {
      if (config.type === 'passt') throw operatorError('HEDDLE_PASST_MISSING', { program: '' });
      const name = 'interface' in config ? config.interface : '';
      ip(`link add ${name} type veth peer name other`);
      for (const end of [name, 'other']) ip(`link set ${end} up`);
    }, '10.0.0.1');
    expect(added.at(-1)).toEqual({ name: 'world', type: 'tap', interface: 'heddle-demo' });
    expect(report).toMatchObject({ uplink: 'tap', address: '10.0.0.1' });
    expect(said).toHaveLength(added.length);
    expect(said.at(-1)).toMatch(/through tap.*10\.0\.0\.1 that it had/);
  });

  test('is none for an ordinary user without passt, and the demo says why', async () => {
    have({ passt: false, root: false });
    expect(await reach(() => undefined, '')).toBeUndefined();
    expect(added).toEqual([]);
    expect(said).toEqual(['No uplink: passt is not installed, and a TAP needs root.']);
  });

  test('is none if it cannot be opened, and the demo prints the hint', async () => {
    have({ passt: true, root: false });
    const refuse = () => {
      throw operatorError('HEDDLE_PASST_MISSING', { program: 'passt' });
    };
    expect(await reach(refuse, '')).toBeUndefined();
    expect(said).toEqual([expect.stringMatching(/through passt: Cannot start.*Install it/)]);
  });
});
