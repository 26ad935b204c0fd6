// The guest's init. It configures the network from the kernel's command line (the kernel passes
// `guest_…=` words to init as environment variables) and then serves commands on the second serial
// port, so that kernel messages on the first one cannot corrupt an answer.
//
//   host → guest   <id> <seconds> <base64 of a shell script>
//   guest → host   ready <kernel version>
//                  done <id> <exit code> <base64 of its output>
//
// A subshell reads the commands, not PID 1: PID 1 inherits all orphans, and when a child ends,
// `read` loses the part of a line that it already has. A command would be lost now and then.

export const initScript = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=80% tmp /tmp
hostname "$guest_name"
ip link set lo up
load-drivers
network
serve() {
  exec 3<>/dev/ttyS1
  stty raw -echo <&3
  echo "ready $(uname -r)" >&3
  while read -r id seconds script <&3; do
    echo "$script" | base64 -d >/tmp/$id.sh
    timeout -s KILL "$seconds" sh /tmp/$id.sh >/tmp/$id.out 2>&1 3>&- </dev/null
    status=$?
    { echo -n "done $id $status "; base64 -w 0 /tmp/$id.out; echo; } >&3
    rm -f /tmp/$id.sh /tmp/$id.out
  done
}
serve &
wait
`;

/** Loads virtio and the network driver; skips modules that are already loaded. */
export const loadDriversScript = `#!/bin/sh
for module in $(cat /modules/order); do
  name=\${module%.ko}
  [ -d /sys/module/$name ] || insmod /modules/$module
done
`;

/** Sets the address of eth0. The driver's probe is synchronous, so the interface exists by now. */
export const networkScript = `#!/bin/sh
[ -e /sys/class/net/eth0 ] || { echo "no network interface" >&2; exit 1; }
[ -z "$guest_address" ] || ip address add "$guest_address" dev eth0
ip link set eth0 up
`;
