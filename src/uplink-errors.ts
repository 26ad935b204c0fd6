// The uplinks' part of the error table (errors.ts). Imports nothing.

export interface ErrorEntry {
  /** HTTP status. */
  readonly status: number;
  /** "Cannot <do what> because <reason>: received <value>", or shorter, with {parameters}. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
}

export const UPLINK_ERRORS = {
  HEDDLE_UPLINK_NOT_FOUND: {
    status: 404,
    message: 'The NIC has no uplink named {uplink}',
    hint: '"heddle uplink list" shows the uplinks.',
  },
  HEDDLE_UPLINK_EXISTS: {
    status: 409,
    message: 'The NIC already has a VF, group, uplink or entropy device named {uplink}',
    hint: 'Choose another name, or change the existing uplink with "heddle uplink set".',
  },
  HEDDLE_UPLINK_ROOM: {
    status: 409,
    message: 'Cannot open the uplink because there is no room for its queues: received {received}',
    hint: 'A NIC has room for 56 uplink queues (8 MiB each), less what VMs and packet rings use: give uplinks fewer queues.',
  },
  HEDDLE_UPLINK_RIGHTS: {
    status: 403,
    message: 'Cannot {operation}: this user lacks the privileges',
    hint: 'Have an administrator run "{way}", or use an uplink that needs no privileges (passt).',
  },
  HEDDLE_UPLINK_INTERFACE_MISSING: {
    status: 404,
    message: 'Cannot open the uplink: there is no network interface {name}',
    hint: '"ip link" shows the interfaces of this network namespace.',
  },
  HEDDLE_UPLINK_INTERFACE_BUSY: {
    status: 409,
    message: 'Cannot open the TAP {name}: another process uses it',
    hint: 'Stop that process, or choose another name: Heddle creates a TAP that does not exist.',
  },
  HEDDLE_UPLINK_NOT_A_TAP: {
    status: 409,
    message: 'Cannot open the TAP {name}: the interface is of another kind',
    hint: 'For an existing interface use "type: packet"; a TAP with queues needs "multi_queue".',
  },
  HEDDLE_UPLINK_NO_TUN: {
    status: 503,
    message: 'Cannot open the TAP {name}: this system has no /dev/net/tun',
    hint: 'Load the kernel module "tun"; in a container, pass the device in.',
  },
  HEDDLE_UPLINK_XDP_MISSING: {
    status: 503,
    message: 'Cannot use AF_XDP: libxdp is not installed ({reason})',
    hint: 'Install it ("apt install libxdp1"), or use "type: packet", which needs no library.',
  },
  HEDDLE_UPLINK_XDP_QUEUES: {
    status: 409,
    message: 'Cannot use {queues} queues of {name}: the interface has fewer',
    hint: '"ethtool -l {name}" shows its queues, "ethtool -L {name} combined {queues}" sets them.',
  },
  HEDDLE_UPLINK_XDP_BUSY: {
    status: 409,
    message: 'Cannot use AF_XDP on {name}: another XDP program or socket is attached',
    hint: 'Stop its owner; "ip link set dev {name} xdp off" detaches a program without an owner.',
  },
  HEDDLE_UPLINK_XDP_MODE: {
    status: 409,
    message: 'Cannot open AF_XDP on {name} with {wish}: the driver does not support it',
    hint: 'Without that key Heddle uses the best mode available; "heddle uplink show" reports it.',
  },
  HEDDLE_UPLINK_XDP_MEMLOCK: {
    status: 503,
    message:
      'Cannot use AF_XDP on {name}: it locks {needed} MiB of memory, and RLIMIT_MEMLOCK allows this user {limit} MiB',
    hint: 'Raise the limit ("ulimit -l", or LimitMEMLOCK= in systemd), which all queues of this user share, or give node cap_ipc_lock.',
  },
  HEDDLE_PASST_MISSING: {
    status: 503,
    message: 'Cannot start passt: there is no program {program}',
    hint: 'Install it ("apt install passt"), or give its path with "program:".',
  },
  HEDDLE_PASST_FAILED: {
    status: 503,
    message: 'Cannot start passt ({program}): {reason}',
    hint: 'Run it by hand with --foreground; without a default route, it needs "-a" and "-g".',
  },
  HEDDLE_PASST_VERSION: {
    status: 503,
    message: 'Cannot start passt because it does not know {option}: received {version}',
    hint: 'Install a version as new as that of Debian 12 (2023_03_09), or name one with "program:".',
  },
  HEDDLE_UPLINK_TRACE: {
    status: 400,
    message: 'Cannot write the trace {file}: the system returned {reason}',
    hint: 'Choose a file in an existing directory that this user can write to.',
  },
  HEDDLE_UPLINK_VDE: {
    status: 503,
    message: 'Cannot join the VDE switch {socket}: {reason}',
    hint: 'Give the directory that "vde_switch -s" made, and check that this user can write there.',
  },
} as const satisfies Record<string, ErrorEntry>;
