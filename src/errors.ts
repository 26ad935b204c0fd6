// Every error that an operator can cause, in one table; docs/errors.md is rendered from it. This
// file imports only tables and uses only plain syntax, so that a Node too old for the rest of
// Heddle gets far enough to print the message about itself.

import { SHARING_ERRORS } from './sharing-errors.ts';
import { type ErrorEntry, UPLINK_ERRORS } from './uplink-errors.ts';

export const ERROR_TABLE = {
  // Configuration
  HEDDLE_CONFIG_MISSING: {
    status: 404,
    message: 'Cannot read the configuration: {file} does not exist',
    hint: 'Check the path, or omit --config to start with two VFs.',
  },
  HEDDLE_CONFIG_UNREADABLE: {
    status: 400,
    message: 'Cannot read the configuration {file}: the system returned {reason}',
    hint: 'Give a YAML file that this user can read.',
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
      'Cannot reload the configuration because the NIC was started without a file: ' +
      'received {received}',
    hint: 'Start it with --config, or use "heddle vf", "heddle uplink" or "heddle apply" instead.',
  },
  HEDDLE_CONFIG_SYNTAX: {
    status: 400,
    message: 'Cannot read {where} because it is not valid YAML ({reason}): received {received}',
    hint: 'Indent with spaces, write "key: value", and start each VF with "- name:".',
  },
  HEDDLE_CONFIG_UNKNOWN_KEY: {
    status: 400,
    message: 'Cannot use {where} because {parent} has no key {key}',
    hint: '{suggestion}',
  },
  HEDDLE_CONFIG_KEY_MISSING: {
    status: 400,
    message: 'Cannot use {where} because {key} is missing: it must be {allowed}',
    hint: 'Add the key.',
  },
  HEDDLE_CONFIG_TYPE: {
    status: 400,
    message: 'Cannot use {where} because {key} must be {allowed}: received {received}',
    hint: 'Change the type of the value; text that looks like a number needs quotes.',
  },
  HEDDLE_CONFIG_VALUE: {
    status: 400,
    message: 'Cannot use {where} because {key} must be {allowed}: received {received}',
    hint: 'Change the value.',
  },
  HEDDLE_CONFIG_MAC: {
    status: 400,
    message:
      'Cannot use {where} because {key} must be {allowed}, but {reason}: received {received}',
    hint: 'Write for example 02:00:00:00:00:0a, or omit the key: the MAC is then derived from names.',
  },
  HEDDLE_CONFIG_DUPLICATE_NAME: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the name of {other}: received {received}',
    hint: 'Choose another name: VFs, groups, uplinks and entropy devices must all have different ones.',
  },
  HEDDLE_CONFIG_DUPLICATE_MAC: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the MAC of {other}: received {received}',
    hint: 'Give every VF its own MAC, or omit the key.',
  },
  HEDDLE_CONFIG_DUPLICATE_SOCKET: {
    status: 409,
    message: 'Cannot use {where} because {key} repeats the socket of {other}: received {received}',
    hint: 'Choose another path: every VF, uplink and entropy device needs its own.',
  },
  HEDDLE_PROCESSOR_COUNT: {
    status: 400,
    message: 'Cannot use {where} because {key} must be {allowed}: received {received}',
    hint: 'Each processor is a worker thread; more processors than cores do not help.',
  },
  HEDDLE_TOO_MANY_VFS: {
    status: 409,
    message: 'Cannot add a VF because a NIC can have at most {limit}: received {received}',
    hint: 'Remove a VF first, or start a second NIC.',
  },
  HEDDLE_TOO_MANY_FUNCTIONS: {
    status: 409,
    message:
      'Cannot add a function because the NIC has no numbers left for it: received {received}',
    hint: 'Remove functions first, or start a second NIC.',
  },
  HEDDLE_RESTART_NEEDED: {
    status: 409,
    message: 'Cannot change {key} of a running NIC: received {received}',
    hint: 'It runs with {running}. Stop the NIC and start it with the new configuration.',
  },
  HEDDLE_CHANGE_OVERDUE: {
    status: 503,
    message: 'Cannot wait for "{change}" any longer: "{waitsFor}" has not ended after {limit}',
    hint:
      'A change that has started continues, and an event reports its end; one that was only ' +
      'waiting is not carried out.',
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
      'Cannot use {where} because a socket path can have at most {limit} bytes: received {socket}',
    hint: 'The kernel sets this limit (sun_path). Use a shorter directory, such as one in /run.',
  },
  HEDDLE_SOCKET_IN_USE: {
    status: 409,
    message: 'Cannot listen on {socket}: another process listens there',
    hint: 'Stop that process ("ss -xlp" shows it), or choose another path.',
  },
  HEDDLE_SOCKET_DIRECTORY_MISSING: {
    status: 400,
    message: 'Cannot listen on {socket}: its directory does not exist',
    hint: 'Create the directory first, accessible to nobody else: "mkdir -m 700".',
  },
  HEDDLE_SOCKET_NOT_WRITABLE: {
    status: 403,
    message: 'Cannot open the socket {socket}: this user may not write there',
    hint: 'Use a directory of your own, or run both ends as the same user.',
  },
  HEDDLE_SOCKET_NOT_A_SOCKET: {
    status: 409,
    message: 'Cannot listen on {socket}: a file that is not a socket has this path',
    hint: 'Choose another path, or move the file away; Heddle deletes only stale sockets.',
  },
  HEDDLE_RUNTIME_DIRECTORY: {
    status: 403,
    message: 'Cannot use the run-time directory {directory}: {reason}',
    hint: 'Remove it, or set XDG_RUNTIME_DIR to a directory that only you can write to.',
  },
  // The system
  HEDDLE_FILE_DESCRIPTORS: {
    status: 503,
    message: 'Cannot open another file: no file descriptors are left ({operation})',
    hint: 'Raise the limit ("ulimit -n 65536", or LimitNOFILE= in systemd), or use fewer VFs.',
  },
  HEDDLE_DESCRIPTOR_SHARE: {
    status: 503,
    message:
      'Cannot keep more file descriptors for VF {vf} because its share is {limit}: received {received}',
    hint:
      'Raise the limit that all VFs share ("ulimit -n 65536", or LimitNOFILE= in systemd), give ' +
      'the VM fewer queues or memory slots, or use fewer VFs.',
  },
  HEDDLE_MAPPINGS: {
    status: 503,
    message:
      'Cannot {what}: it needs {received}, and a process may have {limit} memory mappings ' +
      '(vm.max_map_count)',
    hint: 'Raise the limit ("sysctl vm.max_map_count=262144"), or use fewer processors, VFs or queues.',
  },
  HEDDLE_ADDRESS_SPACE: {
    status: 503,
    message:
      'Cannot start because the limit on address space (RLIMIT_AS) is too low: ' +
      'received {received}',
    hint:
      'Set "ulimit -v unlimited" (LimitAS=infinity in systemd); address space is not memory. The ' +
      'NIC needs about 41 GiB of it, plus 31 GiB for each processor.',
  },
  HEDDLE_THREADS: {
    status: 503,
    message: 'Cannot start a thread: this user or cgroup has too many ({reason})',
    hint: 'Raise the limit ("ulimit -u", LimitNPROC= or TasksMax= in systemd, pids.max).',
  },
  HEDDLE_NODE_VERSION: {
    status: 500,
    message: 'Cannot run on Node {version}: Heddle needs Node {wanted} or newer',
    hint: 'Install a newer Node, and make sure that it is first in PATH ("node --version").',
  },
  HEDDLE_CPU_NO_SIMD: {
    status: 500,
    message: 'Cannot start: this CPU ({cpu}) lacks the SIMD instructions for WebAssembly',
    hint: 'The firmware needs SSE4.1 (x86-64) or NEON (arm64). In a VM, pass the host CPU through.',
  },
  HEDDLE_MEMORY_UNSEALED: {
    status: 409,
    message: 'Cannot map the memory of VF {vf}: received {received}',
    hint:
      'Use memory-backend-memfd (sealed by default). If you trust its owner never to truncate ' +
      'it, set allowUnsealedMemory: true on the VF.',
  },
  HEDDLE_MEMORY_HUGE_PAGES: {
    status: 409,
    message: 'Cannot map the memory of VF {vf}: received {received}',
    hint:
      'Use memory-backend-memfd without hugetlb=on. If a VM gives huge pages back (balloon), the ' +
      'NIC dies; if you trust this VM not to, set allowUnsealedMemory: true on the VF.',
  },
  HEDDLE_CPU_NOT_AVAILABLE: {
    status: 400,
    message: 'Cannot pin a processor to CPU {cpu}: this process may not run there',
    hint: 'Choose CPUs that are online ("lscpu -e") and in the cpuset of the process (its cgroup).',
  },
  HEDDLE_AIO_MISSING: {
    status: 503,
    message: 'Cannot raise interrupts: the kernel refuses asynchronous I/O ({errno})',
    hint:
      'EAGAIN: raise the limit ("sysctl fs.aio-max-nr=1048576"). ENOSYS or EPERM: the kernel lacks ' +
      'CONFIG_AIO, or a sandbox (seccomp) forbids io_setup.',
  },
  HEDDLE_THREAD_STUCK: {
    status: 500,
    message: 'Cannot continue because {thread} hangs: {where}',
    hint:
      'The process exits with status 70: let a supervisor restart it (systemd: ' +
      'Restart=on-failure); guests then reattach. Please report it.',
  },
  HEDDLE_KERNEL_REFUSED: {
    status: 500,
    message: 'Cannot {operation}: the kernel returned {errno}',
    hint: 'Check the limits of the process (ulimit -a), its cgroup and its sandbox.',
  },
  // The running NIC
  HEDDLE_VF_NOT_FOUND: {
    status: 404,
    message: 'The NIC has no VF named {vf}',
    hint: '"heddle vf list" shows the VFs.',
  },
  HEDDLE_PORT_NOT_FOUND: {
    status: 404,
    message: 'The NIC has no VF or uplink named {port}',
    hint: '"heddle stats" shows all VFs and uplinks.',
  },
  HEDDLE_VF_EXISTS: {
    status: 409,
    message: 'The NIC already has a VF, group, uplink or entropy device named {vf}',
    hint: 'Choose another name, or change the existing VF with "heddle vf set".',
  },
  HEDDLE_UML_ATTACH: {
    status: 409,
    message: 'Cannot attach User-Mode Linux to the VF because {reason}: received {received}',
    hint: '{suggestion}',
  },
  ...SHARING_ERRORS,
  ...UPLINK_ERRORS,
  // The control socket
  HEDDLE_CONTROL_ABSENT: {
    status: 503,
    message: 'No NIC listens on the control socket {socket}',
    hint: 'Start one with "heddle up", or give its socket with --control or HEDDLE_CONTROL.',
  },
  HEDDLE_CONTROL_IN_USE: {
    status: 409,
    message: 'Another NIC already uses the control socket {socket}',
    hint: 'Stop the other NIC, or give this one its own socket with --control.',
  },
  HEDDLE_CONTROL_LOST: {
    status: 503,
    message: 'Lost the connection to the NIC on {socket}: {reason}',
    hint: 'Check the terminal or the log of "heddle up"; it may have stopped.',
  },
  // The HTTP API
  HEDDLE_REQUEST_INVALID: {
    status: 400,
    message: 'Cannot read the request because {reason}: received {received}',
    hint: 'Send one JSON object of at most 1 MiB.',
  },
  HEDDLE_ROUTE_UNKNOWN: {
    status: 404,
    message: 'The API has no route {route}',
    hint: 'The routes are listed in docs/api.md.',
  },
  HEDDLE_OUTPUT_REFUSED: {
    status: 500,
    message: 'Cannot print to the standard output: the system returned {reason}',
    hint: 'Check the free space of its disk ("df"). The command itself may have taken effect.',
  },
  HEDDLE_INTERNAL: {
    status: 500,
    message: 'Cannot complete the request because of a bug in Heddle: {reason}',
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

/** An error that its reader can fix: a stable code, a sentence that says why, and a hint. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly code: string;
  readonly status: number;
  readonly hint: string;
  /** The place in a file, if the message names one. */
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

/**
 * The error from the table with its parameters filled in; the compiler checks that all are given.
 */
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
 * The operator's error behind any other error, or undefined if it is a bug of ours. Descriptors,
 * threads and address space can run out wherever something is opened or started, even in Node
 * itself, so they are recognised here.
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
