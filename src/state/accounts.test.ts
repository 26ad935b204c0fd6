import { expect, it } from 'vitest';
import { NODE_ROOT } from '../../layout/limits.ts';
import { SHARED_ACCOUNTS } from '../../layout/memory.ts';
import * as layout from '../../layout/scheduler.ts';
import { readAccount } from './accounts.ts';
import { SharedState } from './shared-state.ts';

it('an account is read where the firmware writes it, and starts from scratch', () => {
  const shared = new SharedState();
  const at = SHARED_ACCOUNTS + NODE_ROOT * layout.ACCOUNT_SIZE;
  shared.view.setBigUint64(at + layout.ACCOUNT_BYTES, 5_000_000_000n, true);
  shared.view.setBigUint64(at + layout.ACCOUNT_PACKETS, 7n, true);
  shared.view.setFloat64(at + layout.ACCOUNT_WORK_NS, 12.75, true);
  shared.view.setFloat64(at + layout.ACCOUNT_HELD_NS, 3e12, true);
  shared.view.setBigUint64(at + layout.ACCOUNT_SHARE_BYTES, 9n, true);
  expect(readAccount(shared.view, NODE_ROOT)).toEqual({
    bytes: 5_000_000_000,
    packets: 7,
    workNanoseconds: 12,
    heldNanoseconds: 3e12,
    guaranteedBytes: 9,
  });
  shared.openAccount(NODE_ROOT);
  expect(Object.values(readAccount(shared.view, NODE_ROOT))).toEqual([0, 0, 0, 0, 0]);
  shared.close();
});
