/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/*
 * What a Linux guest is told, and what it says.
 *
 * 1. The boot message: QEMU fw_cfg item opt/org.mcp/boot, from a sealed memfd. A sequence of NUL-terminated
 *    "key=value" strings; keys marked * may repeat, in order. Guest init reads it below
 *    /sys/firmware/qemu_fw_cfg/by_name/opt/org.mcp/boot/raw. Machines without fw_cfg have it in the initrd, as the file
 *    GUEST_BOOT_FILE of a second archive.
 *      version=1             must come first
 *      root=TAG              how the root is found: the virtio-blk serial of the disk with its image ("root"); where the
 *                            kernel's command line says rootfstype=9p, the mount tag of a 9p device ("rootfs"), mounted
 *                            with the options of its rootflags=
 *      hostname=NAME
 *      arg=TEXT *            argv, arg 0 is the program: a path, or a name looked up in the image's PATH
 *      env=KEY=VALUE *       the whole environment of the program
 *      user=USER[:GROUP]     names or numbers, resolved in the image's /etc/passwd and /etc/group; empty: root
 *      workdir=PATH          empty: /
 *      stop-signal=NUMBER    what GUEST_STOP sends (default 15)
 *      address=IPV4/PREFIX   of eth0; none: eth0 stays down
 *      gateway=IPV4
 *      dns=ADDRESS *         /etc/resolv.conf
 *      search=DOMAIN *
 *      host=ADDRESS NAME *   more lines of /etc/hosts
 *      mount=KIND TAG PATH * in this order; PATH is made where it is missing
 *         KIND volume: TAG is DISK/ENTRY, an entry of the SquashFS on the virtio-blk disk of that serial, read-only
 *         KIND share: TAG is the mount tag of a 9p device (virtio), read-only
 *         KIND disk: TAG is the serial of a virtio-blk disk with an ext4, read-write
 *      console=DEVICE        the program's terminal below /dev (default hvc0, the virtio console)
 *      ready=PROBE           how the program is found to be ready; none: GUEST_READY says all there is to say
 *      health=PROBE          how its health is found out, over and over
 *    PROBE is "KIND PORT INTERVAL TIMEOUT[ PATH]", times in microseconds:
 *      message               the program says it to $NOTIFY_SOCKET, as sd_notify(3) describes: READY=1 for ready, WATCHDOG=1 at
 *                            least once in INTERVAL for health ($WATCHDOG_USEC)
 *      tcp                   PORT of the guest takes a connection within TIMEOUT
 *      http                  GET PATH is answered with a status from 200 to 399 within TIMEOUT
 *
 * 2. Credentials: fw_cfg item opt/org.mcp/credentials, also a sealed memfd; it is there when the VM has any. One after
 *    the other: the name with its NUL, u32 length (little endian), then that many bytes. Guest init makes files of them
 *    that only the program's user can read, in GUEST_CREDENTIALS_DIRECTORY, a tmpfs, and says so in
 *    $CREDENTIALS_DIRECTORY.
 *
 * 3. Frames on the virtio-serial port org.mcp.guest: {u16 type, u16 length} little endian, then length bytes.
 *    A frame longer than GUEST_FRAME_MAX, or of unknown type, is skipped by the guest and ends the port for the host,
 *    which trusts nothing in it.
 */

#define GUEST_PORT_NAME "org.mcp.guest"
#define GUEST_ROOT_SHARE "rootfs"
#define GUEST_BOOT_ITEM "opt/org.mcp/boot"
#define GUEST_CREDENTIALS_ITEM "opt/org.mcp/credentials"
#define GUEST_CREDENTIALS_MAX (128U * 1024U)
#define GUEST_CREDENTIALS_DIRECTORY "/run/credentials"
#define GUEST_BOOT_FILE "boot-message" /* below the initrd's root */
#define GUEST_BOOT_MAX (256U * 1024U)
#define GUEST_FRAME_MAX 4096U
#define GUEST_WIRE_VERSION 1

struct guest_frame_header {
        uint16_t type;   /* enum guest_frame_type, little endian */
        uint16_t length; /* of what follows, little endian */
};

enum guest_frame_type {
        /* guest -> host */
        GUEST_HELLO = 1, /* u32 version: guest init is up, the root file system is mounted */
        GUEST_READY = 2, /* empty: the program was executed (its execve succeeded) */
        GUEST_EXIT = 3,  /* u32 how (0 exited, 1 by signal), u32 exit status or signal number; power-off follows */
        GUEST_ERROR = 4, /* UTF-8 text: what guest init could not do; power-off follows */
        GUEST_PROBE = 5, /* u32 which (enum guest_probe), u32 whether it was good (0, 1); of ready only the first good one */
        /* host -> guest */
        GUEST_STOP = 16,   /* empty: send the image's stop signal to the program */
        GUEST_SIGNAL = 17, /* u32 signal number: send it to the program */
};

enum guest_probe {
        GUEST_PROBE_READY,
        GUEST_PROBE_HEALTH,
        GUEST_PROBES,
};
