// The part of the table of errors (errors.ts) that is about uplinks. Imports nothing.

export interface ErrorEntry {
  /** What the HTTP API answers with. */
  readonly status: number;
  /** "Cannot <do what> because <reason>: received <value>", with {parameters}. */
  readonly message: string;
  /** The way out. */
  readonly hint: string;
}

export const UPLINK_ERRORS = {
  HEDDLE_UPLINK_NOT_FOUND: {
    status: 404,
    message: 'Cannot find the uplink because the NIC has none of this name: received {uplink}',
    hint: '"heddle uplink list" shows the uplinks.',
  },
  HEDDLE_UPLINK_EXISTS: {
    status: 409,
    message: 'Cannot add the uplink because a VF or an uplink has this name: received {uplink}',
    hint: 'Choose another name, or change the one there with "heddle uplink set".',
  },
  HEDDLE_UPLINK_ROOM: {
    status: 409,
    message:
      'Cannot open the uplink because the queues of all uplinks have no room: received {received}',
    hint: 'A NIC has room for 56 queues of uplinks (8 MiB each), less what VMs and packet rings take: give uplinks fewer queues.',
  },
  HEDDLE_UPLINK_RIGHTS: {
    status: 403,
    message: 'Cannot {operation} because this user has not the rights: received {name}',
    hint: 'Let an administrator run "{way}", or use an uplink that needs no rights (passt).',
  },
  HEDDLE_UPLINK_INTERFACE_MISSING: {
    status: 404,
    message: 'Cannot open the uplink because there is no such network interface: received {name}',
    hint: '"ip link" shows the interfaces of this network namespace.',
  },
  HEDDLE_UPLINK_INTERFACE_BUSY: {
    status: 409,
    message: 'Cannot open the TAP because another process uses it: received {name}',
    hint: 'Stop that process, or choose another name: a new TAP is made if there is none.',
  },
  HEDDLE_UPLINK_NOT_A_TAP: {
    status: 409,
    message: 'Cannot open the TAP because the interface is of another kind: received {name}',
    hint: 'Use "type: packet" for an existing interface, "multi_queue" for a TAP with queues.',
  },
  HEDDLE_UPLINK_NO_TUN: {
    status: 503,
    message: 'Cannot open the TAP because this system has no /dev/net/tun: received {name}',
    hint: 'Load the kernel module "tun"; in a container, pass the device in.',
  },
  HEDDLE_UPLINK_XDP_MISSING: {
    status: 503,
    message: 'Cannot use AF_XDP because libxdp is not installed: received {reason}',
    hint: 'Install it ("apt install libxdp1"), or use "type: packet", which needs no library.',
  },
  HEDDLE_UPLINK_XDP_QUEUES: {
    status: 409,
    message: 'Cannot use {queues} queues because the interface has fewer: received {name}',
    hint: '"ethtool -l {name}" shows its queues, "ethtool -L {name} combined {queues}" sets them.',
  },
  HEDDLE_UPLINK_XDP_BUSY: {
    status: 409,
    message: 'Cannot use AF_XDP because another XDP program or socket is there: received {name}',
    hint: 'Stop its owner; "ip link set dev {name} xdp off" takes a program off that has none.',
  },
  HEDDLE_UPLINK_XDP_MODE: {
    status: 409,
    message:
      'Cannot use AF_XDP so because the driver of the interface cannot: received {wish} on {name}',
    hint: 'Without that key Heddle takes the best that there is; "heddle uplink show" says what.',
  },
  HEDDLE_UPLINK_XDP_MEMLOCK: {
    status: 503,
    message:
      'Cannot use AF_XDP because RLIMIT_MEMLOCK lets this user lock too little memory: received {needed} MiB for {name}, {limit} MiB allowed',
    hint: 'Raise it ("ulimit -l", "LimitMEMLOCK=" of systemd) for all queues of this user together, or give node cap_ipc_lock.',
  },
  HEDDLE_PASST_MISSING: {
    status: 503,
    message: 'Cannot start passt because there is no such program: received {program}',
    hint: 'Install it ("apt install passt"), or name its path with "program:".',
  },
  HEDDLE_PASST_FAILED: {
    status: 503,
    message: 'Cannot start passt because {reason}: received {program}',
    hint: 'Run it by hand with --foreground; with no default route, give it "-a" and "-g".',
  },
  HEDDLE_PASST_VERSION: {
    status: 503,
    message: 'Cannot start passt because this one does not know {option}: received {version}',
    hint: 'Install one that is as new as that of Debian 12 (2023_03_09), or name it with "program:".',
  },
  HEDDLE_UPLINK_TRACE: {
    status: 400,
    message: 'Cannot write the trace because the system refuses ({reason}): received {file}',
    hint: 'Name a file in a directory that exists and that this user may write to.',
  },
  HEDDLE_UPLINK_VDE: {
    status: 503,
    message: 'Cannot join the VDE switch because {reason}: received {socket}',
    hint: 'Name the directory that "vde_switch -s" made, and see that this user may write there.',
  },
} as const satisfies Record<string, ErrorEntry>;
