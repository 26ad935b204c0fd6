// What every DPDK process needs, whoever starts it.

/**
 * DPDK makes a directory for its run-time files, and leaves it behind, in /var/run/dpdk or
 * wherever systemd's variable points to: to a temporary directory of ours.
 */
export function dpdkEnvironment(directory: string): NodeJS.ProcessEnv {
  return { RUNTIME_DIRECTORY: directory };
}
