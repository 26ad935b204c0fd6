// The part of the error table (errors.ts) about what VFs and groups are promised.

import type { ErrorEntry } from './uplink-errors.ts';

export const SHARING_ERRORS = {
  HEDDLE_GROUP_NOT_FOUND: {
    status: 404,
    message: 'The NIC has no group named {group}',
    hint: '"heddle group list" shows the groups.',
  },
  HEDDLE_GROUP_EXISTS: {
    status: 409,
    message: 'The NIC already has a VF, group, uplink or entropy device named {group}',
    hint: 'Choose another name, or change the existing group with "heddle group set".',
  },
  HEDDLE_GROUP_NOT_EMPTY: {
    status: 409,
    message: 'Cannot remove group {group} because it still has members: {members}',
    hint: 'Move its members first, for example with "heddle vf set NAME --group none".',
  },
  HEDDLE_GROUP_UNKNOWN: {
    status: 409,
    message: 'Cannot use {where} because {key} names no group: received {received}',
    hint: '{suggestion}',
  },
  HEDDLE_GROUP_CYCLE: {
    status: 409,
    message: 'Cannot use {where} because {key} puts a group below itself: received {received}',
    hint: 'Choose another group, or "none" for directly below the NIC.',
  },
  HEDDLE_GROUP_DEPTH: {
    status: 409,
    message:
      'Cannot use {where} because {key} makes more than {limit} levels of groups: received {received}',
    hint: 'Choose a group that is higher up, or "none" for directly below the NIC.',
  },
  HEDDLE_TOO_MANY_GROUPS: {
    status: 409,
    message: 'Cannot add a group because a NIC can have at most {limit}: received {received}',
    hint: 'Remove a group first, or start a second NIC.',
  },
  HEDDLE_SHARES_EXCEEDED: {
    status: 409,
    message:
      'Cannot use {where} because the guarantees (txShare) in {owner} would be {sum}, more than its {limit}: received {received}',
    hint: 'What is left is {left}; others have: {holders}. Lower a txShare, or {remedy}.',
  },
} as const satisfies Record<string, ErrorEntry>;
