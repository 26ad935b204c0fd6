// The Debian packages that this project uses: how to detect each one, and what it is for. Plain
// JavaScript without dependencies, because it runs before anything is installed.

import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Debian keeps some programs in directories that are not in an ordinary user's PATH. */
const systemDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/**
 * `neededBy`: the commands that cannot do all their work without the package: `start` (the demo),
 * `test` and `bench`.
 */
export const packages = [
  {
    name: 'qemu-system-x86',
    purpose: 'runs the virtual machines',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('qemu-system-x86_64'),
  },
  {
    name: 'linux-image-cloud-amd64',
    purpose: 'the kernel inside the virtual machines',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: hasKernel,
  },
  {
    name: 'xz-utils',
    purpose: "unpacks that kernel's modules, which Debian compresses since release 13",
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('xz'),
  },
  {
    name: 'busybox-static',
    purpose: 'the programs inside the virtual machines',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('busybox'),
  },
  {
    name: 'iperf3',
    purpose: 'measures TCP between the virtual machines',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('iperf3'),
  },
  {
    name: 'ethtool',
    purpose: 'enables queues inside the virtual machines',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('ethtool'),
  },
  {
    name: 'dpdk-dev',
    purpose: 'testpmd, an independent virtio driver for tests and benchmarks',
    neededBy: ['test', 'bench'],
    isInstalled: () => hasProgram('dpdk-testpmd'),
  },
  {
    name: 'user-mode-linux',
    purpose: 'virtual machines at native speed without KVM',
    neededBy: ['test'],
    isInstalled: () => hasProgram('linux.uml'),
  },
  {
    name: 'passt',
    purpose: 'connects virtual machines to the Internet without privileges',
    neededBy: ['start', 'test'],
    isInstalled: () => hasProgram('passt'),
  },
  {
    name: 'tcpdump',
    purpose: 'reads the traces of uplinks',
    neededBy: ['test'],
    isInstalled: () => hasProgram('tcpdump'),
  },
  {
    name: 'vde2',
    purpose: 'a switch in user space, to connect to and to compare with',
    neededBy: ['test', 'bench'],
    isInstalled: () => hasProgram('vde_switch'),
  },
  {
    name: 'iproute2',
    purpose: 'addresses of TAPs; network namespaces for tests and benchmarks',
    neededBy: ['start', 'test', 'bench'],
    isInstalled: () => hasProgram('ip'),
  },
  {
    name: 'libxdp1',
    purpose: 'AF_XDP uplinks (optional at run time; includes libbpf1)',
    neededBy: ['test', 'bench'],
    isInstalled: () => hasLibrary('libxdp.so.1'),
  },
  {
    name: 'openvswitch-switch-dpdk',
    purpose: 'a switch to compare performance with',
    neededBy: ['bench'],
    isInstalled: () => existsSync('/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'),
  },
];

/** The packages that `command` needs and this machine lacks. */
export function missingPackages(command) {
  return packages.filter((one) => one.neededBy.includes(command) && !one.isInstalled());
}

export function hasProgram(name) {
  const directories = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  return [...directories, ...systemDirectories].some((directory) =>
    isUsable(join(directory, name), constants.X_OK),
  );
}

/** Debian has a library directory for each architecture. */
function hasLibrary(name) {
  const directory = '/usr/lib';
  if (!existsSync(directory)) return false;
  const kinds = readdirSync(directory).filter((entry) => entry.includes('-linux-'));
  return ['', ...kinds].some((kind) => existsSync(join(directory, kind, name)));
}

function hasKernel() {
  if (!existsSync('/boot')) return false;
  return readdirSync('/boot')
    .filter((name) => name.startsWith('vmlinuz-') && isUsable(join('/boot', name), constants.R_OK))
    .some((name) => existsSync(join('/lib/modules', name.slice('vmlinuz-'.length), 'modules.dep')));
}

function isUsable(path, mode) {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
