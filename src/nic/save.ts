import type { Vf } from '../functions/net/vf.ts';
import type { Rng } from '../functions/rng/rng.ts';
import type { Uplink } from '../uplinks/running-uplink.ts';
import type { NicState } from './types.ts';

interface Functions {
  vfs: Iterable<Vf>;
  uplinks: Iterable<Uplink>;
  rngs: Iterable<Rng>;
}

/** A NIC as data. `sharedFd`: of the records that processors share. */
export function saveNic(
  configs: Pick<NicState, 'settings' | 'fileConfig'>,
  sharedFd: number,
  { vfs, uplinks, rngs }: Functions,
): NicState {
  const now = performance.now();
  return {
    ...structuredClone(configs),
    sharedFd,
    vfs: [...vfs].map((vf) => vf.save(now)),
    uplinks: [...uplinks].map((uplink) => uplink.save(now)),
    rngs: [...rngs].map((rng) => rng.save(now)),
  };
}
