// Every error that an operator can cause, in one table: docs/errors.md is rendered from it.
// This file imports only tables and keeps to plain syntax, so that a Node too old for the rest of
// Heddle still gets far enough to print the message about itself.

import { type ErrorEntry, UPLINK_ERRORS } from './uplink-errors.ts';

export const ERROR_TABLE = {
  // Configuration
  HEDDLE_CONFIG_MISSING: {
    status: 404,
    message: 'Cannot read the configuration because there is no such file: received {file}',
    hint: 'Check the path, or leave --config out to start with two VFs.',
  },
  HEDDLE_CONFIG_UNREADABLE: {
    status: 400,
    message: 'Cannot read the configuration because the system refuses ({reason}): received {file}',
    hint: 'Name a YAML file that this user may read.',
  },
  HEDDLE_CONFIG_DIRECTORY: {
    status: 400,
    message:
      'Cannot use {where} because the directory of {key} does not exist: received {received}',
    hint: 'Create the directory, or change the path.',
  },
  HEDDLE_CONFIG_NO_FILE: {
    status: 409,
    message:
      'Cannot apply the configuration again because the NIC was started without a file: ' +
      'received {received}',
    hint: 'Start it with --config, or change it with "heddle vf", "heddle uplink", "heddle apply".',
  },
  HEDDLE_CONFIG_SYNTAX: {
    status: 400,
    message: 'Cannot read {where} because it is not valid YAML ({reason}): received {received}',
    hint: 'Indent with spaces, write "key: value", and start each VF with "- name:".',
  },
  HEDDLE_CONFIG_UNKNOWN_KEY: {
    status: 400,
    message: 'Cannot use {where} because {parent} has no such key: received {key}',
    hint: '{suggestion}',
  },
  HEDDLE_CONFIG_KEY_MISSING: {
    status: 400,
    message: 'Cannot use {where} because {key} needs {allowed}: received nothing',
    hint: 'Add the key.',
  },
  HEDDLE_CONFIG_TYPE: {
    status: 400,
    message: 'Cannot use {where} because {key} takes {allowed}: received {received}',
    hint: 'Change the type of the value; a text that looks like a number needs quotes.',
  },
  HEDDLE_CONFIG_VALUE: {
    status: 400,
    message: 'Cannot use {where} because {key} takes {allowed}: received {received}',
    hint: 'Change the value.',
  },
  HEDDLE_CONFIG_MAC: {
    status: 400,
    message: 'Cannot use {where} because {key} takes {allowed}, and {reason}: received {received}',
    hint: 'Write 02:00:00:00:00:0a for example, or leave it out: the MAC then comes from the name.',
  },
  HEDDLE_CONFIG_DUPLICATE_NAME: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the name of {other}: received {received}',
    hint: 'Give every VF its own name.',
  },
  HEDDLE_CONFIG_DUPLICATE_MAC: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the MAC of {other}: received {received}',
    hint: 'Give every VF its own MAC, or leave the key out.',
  },
  HEDDLE_CONFIG_DUPLICATE_SOCKET: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the socket of {other}: received {received}',
    hint: 'Give every VF its own socket, and the control socket a path apart from them.',
  },
  HEDDLE_PROCESSOR_COUNT: {
    status: 400,
    message: 'Cannot use {where} because {key} takes {allowed}: received {received}',
    hint: 'Each processor is a worker thread; more of them than cores do not help.',
  },
  HEDDLE_TOO_MANY_VFS: {
    status: 409,
    message: 'Cannot add a VF because one NIC has at most {limit}: received {received}',
    hint: 'Remove a VF first, or start a second NIC.',
  },
  HEDDLE_TOO_MANY_FUNCTIONS: {
    status: 409,
    message: 'Cannot add a function because the NIC has no numbers left: received {received}',
    hint: 'Remove functions first, or start a second NIC.',
  },
  HEDDLE_RESTART_NEEDED: {
    status: 409,
    message: 'Cannot change {key} of a running NIC because it needs a restart: received {received}',
    hint: 'It runs with {running}. Stop the NIC and start it again with the new configuration.',
  },
  HEDDLE_CHANGE_OVERDUE: {
    status: 503,
    message:
      'Cannot wait any longer because a change has not ended after {limit} ("{waitsFor}"): ' +
      'received {change}',
    hint: 'What has begun goes on, and an event tells when it ends; what waited is not done.',
  },
  HEDDLE_NIC_CLOSED: {
    status: 503,
    message: 'Cannot change the NIC because it is closing: received {change}',
    hint: 'Start it again with "heddle up".',
  },
  // Sockets
  HEDDLE_SOCKET_PATH_TOO_LONG: {
    status: 400,
    message:
      'Cannot use {where} because a socket path has at most {limit} bytes: received {socket}',
    hint: 'The kernel sets this limit (sun_path). Use a shorter directory, such as one in /run.',
  },
  HEDDLE_SOCKET_IN_USE: {
    status: 409,
    message: 'Cannot listen because a live process listens on this socket: received {socket}',
    hint: 'Stop that process ("ss -xlp" names it), or choose another path.',
  },
  HEDDLE_SOCKET_DIRECTORY_MISSING: {
    status: 400,
    message: 'Cannot listen because the directory of the socket does not exist: received {socket}',
    hint: 'Create the directory first, readable by nobody else: "mkdir -m 700".',
  },
  HEDDLE_SOCKET_NOT_WRITABLE: {
    status: 403,
    message: 'Cannot open the socket because this user may not write there: received {socket}',
    hint: 'Use a directory of your own, or run both ends as the same user.',
  },
  HEDDLE_SOCKET_NOT_A_SOCKET: {
    status: 409,
    message: 'Cannot listen because a file that is not a socket has this path: received {socket}',
    hint: 'Choose another path, or move the file away; Heddle deletes nothing but stale sockets.',
  },
  HEDDLE_RUNTIME_DIRECTORY: {
    status: 403,
    message: 'Cannot use the run-time directory because {reason}: received {directory}',
    hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory that only you can write.',
  },
  // The system
  HEDDLE_FILE_DESCRIPTORS: {
    status: 503,
    message: 'Cannot open another file because no file descriptors are left: received {operation}',
    hint: 'Raise the limit ("ulimit -n 65536", or LimitNOFILE= in systemd), or use fewer VFs.',
  },
  HEDDLE_DESCRIPTOR_SHARE: {
    status: 503,
    message:
      'Cannot keep more file descriptors of VF {vf} because its share is {limit}: received {received}',
    hint:
      'Raise the limit that all VFs share ("ulimit -n 65536", or LimitNOFILE= in systemd), give ' +
      'the VM fewer queues or memory slots, or use fewer VFs.',
  },
  HEDDLE_MAPPINGS: {
    status: 503,
    message:
      'Cannot {what} because a process may have {limit} memory mappings (vm.max_map_count): ' +
      'received {received}',
    hint: 'Raise it ("sysctl vm.max_map_count=262144"), or use fewer processors, VFs or queues.',
  },
  HEDDLE_ADDRESS_SPACE: {
    status: 503,
    message:
      'Cannot start because the process may not have enough address space (RLIMIT_AS): ' +
      'received {received}',
    hint:
      'Set "ulimit -v unlimited" (LimitAS=infinity in systemd): address space is no memory. The ' +
      'NIC needs some 41 GiB of it, and 31 GiB for each processor.',
  },
  HEDDLE_THREADS: {
    status: 503,
    message: 'Cannot start a thread because this user or cgroup has too many: received {reason}',
    hint: 'Raise the limit ("ulimit -u", LimitNPROC= or TasksMax= in systemd, pids.max).',
  },
  HEDDLE_NODE_VERSION: {
    status: 500,
    message: 'Cannot start because Heddle needs Node {wanted} or newer: received Node {version}',
    hint: 'Install a newer Node, and see that it is first in PATH ("node --version").',
  },
  HEDDLE_CPU_NO_SIMD: {
    status: 500,
    message: 'Cannot start because this CPU has no SIMD for WebAssembly: received {cpu}',
    hint: 'The firmware needs SSE4.1 (x86-64) or NEON (arm64). In a VM, pass the host CPU through.',
  },
  HEDDLE_MEMORY_UNSEALED: {
    status: 409,
    message: 'Cannot map the memory of VF {vf} because it is not sealed: received {received}',
    hint:
      'Use memory-backend-memfd (sealed by default). If you trust its owner never to truncate ' +
      'it, set allowUnsealedMemory: true on the VF.',
  },
  HEDDLE_MEMORY_HUGE_PAGES: {
    status: 409,
    message: 'Cannot map the memory of VF {vf} because it lies in huge pages: received {received}',
    hint:
      'Use memory-backend-memfd without hugetlb=on. Huge pages that a VM gives back (balloon) end ' +
      'the NIC; if you trust this one never to, set allowUnsealedMemory: true on the VF.',
  },
  HEDDLE_CPU_NOT_AVAILABLE: {
    status: 400,
    message:
      'Cannot keep a processor on a CPU because this process may not run there: received {cpu}',
    hint: 'Name CPUs that are online ("lscpu -e") and in the cpuset of the process (its cgroup).',
  },
  HEDDLE_AIO_MISSING: {
    status: 503,
    message:
      'Cannot raise interrupts because the kernel gives no asynchronous I/O: received {errno}',
    hint:
      'EAGAIN: raise the limit ("sysctl fs.aio-max-nr=1048576"). ENOSYS or EPERM: the kernel lacks ' +
      'CONFIG_AIO, or a sandbox (seccomp) forbids io_setup.',
  },
  HEDDLE_THREAD_STUCK: {
    status: 500,
    message: 'Cannot go on because {thread} hangs, and would hold up others: received {where}',
    hint:
      'The process ends with status 70: let a supervisor start it anew (systemd: ' +
      'Restart=on-failure), guests attach again. Please report it.',
  },
  HEDDLE_KERNEL_REFUSED: {
    status: 500,
    message: 'Cannot {operation} because the kernel refuses: received {errno}',
    hint: 'Look at the limits of the process (ulimit -a), its cgroup and its sandbox.',
  },
  // The running NIC
  HEDDLE_VF_NOT_FOUND: {
    status: 404,
    message: 'Cannot find the VF because the NIC has none of this name: received {vf}',
    hint: '"heddle vf list" shows the VFs.',
  },
  HEDDLE_PORT_NOT_FOUND: {
    status: 404,
    message: 'Cannot find the port because no VF or uplink has this name: received {port}',
    hint: '"heddle stats" shows all of them.',
  },
  HEDDLE_VF_EXISTS: {
    status: 409,
    message: 'Cannot add the VF because the NIC has one of this name: received {vf}',
    hint: 'Choose another name, or change the one there with "heddle vf set".',
  },
  HEDDLE_UML_ATTACH: {
    status: 409,
    message: 'Cannot attach User-Mode Linux to the VF because {reason}: received {received}',
    hint: '{suggestion}',
  },
  ...UPLINK_ERRORS,
  // The control socket
  HEDDLE_CONTROL_ABSENT: {
    status: 503,
    message: 'Cannot reach a NIC because none listens on this control socket: received {socket}',
    hint: 'Start one with "heddle up", or name its socket with --control or HEDDLE_CONTROL.',
  },
  HEDDLE_CONTROL_IN_USE: {
    status: 409,
    message: 'Cannot start because another NIC runs on this control socket: received {socket}',
    hint: 'Stop the other NIC, or give this one its own socket with --control.',
  },
  HEDDLE_CONTROL_LOST: {
    status: 503,
    message: 'Cannot go on because the NIC closed the connection ({reason}): received {socket}',
    hint: 'Look at the terminal or the log of "heddle up"; it may have stopped.',
  },
  // The HTTP API
  HEDDLE_REQUEST_INVALID: {
    status: 400,
    message: 'Cannot read the request because {reason}: received {received}',
    hint: 'Send one JSON object of at most 1 MiB.',
  },
  HEDDLE_ROUTE_UNKNOWN: {
    status: 404,
    message: 'Cannot serve the request because there is no such route: received {route}',
    hint: 'See docs/api.md for the routes.',
  },
  HEDDLE_OUTPUT_REFUSED: {
    status: 500,
    message: 'Cannot print because the system refuses ({reason}): received a standard output',
    hint: 'Look for room on the disk that it goes to ("df"); the command itself may have acted.',
  },
  HEDDLE_INTERNAL: {
    status: 500,
    message: 'Cannot complete the request because of a bug in Heddle: received {reason}',
    hint: 'Please report it with the log of "heddle up --log-level debug".',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** The names between braces: 'Cannot {a} as {b}' → 'a' | 'b'. */
type Placeholders<Template extends string> =
  Template extends `${string}{${infer Name}}${infer Rest}` ? Name | Placeholders<Rest> : never;

type ParameterName<Code extends ErrorCode> = Placeholders<
  (typeof ERROR_TABLE)[Code]['message'] | (typeof ERROR_TABLE)[Code]['hint']
>;

export type ErrorParameters<Code extends ErrorCode> = Record<ParameterName<Code>, string | number>;

/** An error that its reader can mend: a stable code, a sentence that says why, and a way out. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly code: string;
  readonly status: number;
  readonly hint: string;
  /** The place in a file that is at fault, where the sentence names one. */
  readonly where: string | undefined;
  /** Further problems of the same input: a configuration reports all of them at once. */
  readonly also: readonly OperatorError[];

  constructor(
    fields: { code: string; status: number; message: string; hint: string; where?: string },
    options: { cause?: unknown; also?: readonly OperatorError[] } = {},
  ) {
    super(fields.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = fields.code;
    this.status = fields.status;
    this.hint = fields.hint;
    this.where = fields.where;
    this.also = options.also ?? [];
  }

  toJSON(): { code: string; message: string; hint: string } {
    return { code: this.code, message: this.message, hint: this.hint };
  }
}

/** The error of the table with its parameters filled in; the compiler knows which ones it takes. */
export function operatorError<Code extends ErrorCode>(
  code: Code,
  parameters: ErrorParameters<Code>,
  options: { cause?: unknown; also?: readonly OperatorError[] } = {},
): OperatorError {
  const { status, message, hint } = ERROR_TABLE[code];
  const values: Record<string, string | number> = parameters;
  const fill = (template: string): string =>
    template.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
  const where = typeof values.where === 'string' ? { where: values.where } : {};
  const fields = { code, status, message: fill(message), hint: fill(hint), ...where };
  return new OperatorError(fields, options);
}

/**
 * The operator's error behind any other, or nothing if it is a mistake of ours. Descriptors,
 * threads and address space can run out wherever something is opened or begun, also in Node itself,
 * so that this is the one place to say it.
 */
export function asOperatorError(error: unknown): OperatorError | undefined {
  if (error instanceof OperatorError) return error;
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const { message } = error;
  if (message.startsWith('io_setup ')) {
    return operatorError('HEDDLE_AIO_MISSING', { errno: String(error.code) }, { cause: error });
  }
  switch (error.code) {
    case 'EMFILE':
    case 'ENFILE':
      return operatorError('HEDDLE_FILE_DESCRIPTORS', { operation: message }, { cause: error });
    case 'HEDDLE_ADDRESS_SPACE':
      return operatorError('HEDDLE_ADDRESS_SPACE', { received: message }, { cause: error });
    case 'ERR_WORKER_INIT_FAILED':
      return operatorError('HEDDLE_THREADS', { reason: message }, { cause: error });
    default:
      return undefined;
  }
}
