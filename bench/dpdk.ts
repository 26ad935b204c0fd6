// What every DPDK process needs.

/**
 * DPDK creates a directory for its run-time files and leaves it behind, in /var/run/dpdk or where
 * systemd's variable says: here a temporary directory of ours.
 */
export function dpdkEnvironment(directory: string): NodeJS.ProcessEnv {
  return { RUNTIME_DIRECTORY: directory };
}
