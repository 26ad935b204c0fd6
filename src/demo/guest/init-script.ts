// The guest's first program. It configures the network from the kernel's command line (the kernel
// hands `guest_…=` words to init as environment variables) and then serves commands on the second
// serial port, so that nothing the kernel prints on the first one can disturb an answer.
//
//   host → guest   <id> <seconds> <base64 of a shell script>
//   guest → host   ready <kernel version>
//                  done <id> <exit code> <base64 of its output>
//
// They are not read by the first process itself: all orphans are its own, and a shell whose child
// ends forgets the half of a line that `read` has by then. A command would be lost now and then.

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

/** Loads virtio and the network driver; does nothing for modules that are there already. */
export const loadDriversScript = `#!/bin/sh
for module in $(cat /modules/order); do
  name=\${module%.ko}
  [ -d /sys/module/$name ] || insmod /modules/$module
done
`;

/** Gives the NIC its address; the driver's probe is synchronous, so the interface exists by now. */
export const networkScript = `#!/bin/sh
[ -e /sys/class/net/eth0 ] || { echo "no network interface" >&2; exit 1; }
[ -z "$guest_address" ] || ip address add "$guest_address" dev eth0
ip link set eth0 up
`;
