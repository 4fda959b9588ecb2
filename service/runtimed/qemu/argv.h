/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/port.h"
#include "model/state.h"

/*
 * Command lines, from plain values, with no side effect: what DescribeCommand shows is what runs. Descriptors are the
 * numbers of shared/launch-wire.h: 3..6 the monitor's channels, then those handed through in the order of the QEMUSlot
 * below.
 */

#define NIC_QUEUES_MAX 8U

/* A QEMU of its own build, in one directory: bin/PROGRAM, lib/, with QEMU's modules in lib/qemu/, and firmware/. */
typedef struct QEMUBundle {
        const char *program; /* "qemu-system-x86_64" */
        const char *loader;  /* "lib/ld-linux-x86-64.so.2" starts it; "": the host's does */
        bool libraries, modules, firmware;
} QEMUBundle;

typedef struct QEMUPlan {
        const char *binary;       /* absolute path of qemu-system-* */
        const QEMUBundle *bundle; /* instead of it; NULL: the host's */
        const char *name;         /* VM's name, for -name */
        const char *uuid;
        const char *architecture; /* "x86_64" */
        Accelerator accelerator;  /* KVM or TCG, resolved */
        uint32_t memory_mib, vcpus;
        bool uefi; /* firmware with variables of its own, TPM, USB and a display */
        bool credentials;
        bool volumes, archives; /* the VM's own images */
        uint16_t n_disks;       /* that it writes to */
        uint16_t n_shares;      /* directories of the host */
        bool root_directory;    /* the root is one of those, and no disk */
        bool nanos;      /* a Nanos guest: it boots from its disk, and has no guest init */
        bool network;    /* it has a NIC */
        uint16_t queues; /* of a TAP; 0: the NIC is a stream socket to passt */
        const char *mac; /* "52:54:00:.." when network */
        const char *const *paths; /* by QEMUSlot: without the daemon, files by their names; then its descriptors are those
                                     of mcp-vm-run, and the console is its standard output. NULL: by descriptors */
} QEMUPlan;

/* Of an exported unit with a display, by the VM's name: closed to all but the unit's user and root. */
#define UNIT_RUNTIME_DIRECTORY "/run/mcp-display-%s"

/* The descriptors handed through, in this order; slots that a plan does not use are left out and the following move up.
 */
typedef enum QEMUSlot {
        QEMU_SLOT_KERNEL, /* read by /proc/self/fd/N: a file others may read; not with nanos */
        QEMU_SLOT_INITRD, /* likewise */
        QEMU_SLOT_BOOT, /* sealed memfd, fw_cfg opt/org.mcp/boot; unused with nanos, and where that comes in the initrd
                         */
        QEMU_SLOT_CREDENTIALS, /* sealed memfd, fw_cfg opt/org.mcp/credentials */
        QEMU_SLOT_ROOT,   /* SquashFS (nanos: the built disk), by -add-fd, read-only; with root_directory as SHARES */
        QEMU_SLOT_VOLUMES,  /* the VM's own, likewise, baked of paths, */
        QEMU_SLOT_ARCHIVES, /* and of tars; neither with nanos */
        QEMU_SLOT_DISKS,    /* the first of n_disks, read-write; the others follow */
        QEMU_SLOT_SHARES,   /* likewise of n_shares: directories, opened again below /proc/self/fd */
        QEMU_SLOT_CODE,   /* only with uefi: its firmware, read-only, */
        QEMU_SLOT_VARS,   /* the VM's own variables, read-write, */
        QEMU_SLOT_TPM,    /* and the control socket of its swtpm */
        QEMU_SLOT_BUNDLE, /* only with bundle: its directory, O_PATH */
        QEMU_SLOT_NET,    /* only with network: a stream socket, or the first of the TAP's queues; the others follow */
        QEMU_SLOT_MAX,
} QEMUSlot;

/* The number the slot's descriptor has in QEMU, or -1 when the plan does not use it. */
int qemu_slot_fd(const QEMUPlan *plan, QEMUSlot slot);

/* Whether the machine has no fw_cfg: the boot message is then appended to the initrd, as a second archive. */
bool qemu_boot_in_initrd(const QEMUPlan *plan);

/* KEY=VALUE that only QEMU's process gets: where a bundle's libraries and modules are. NULL-terminated, mostly empty;
 * caller frees with g_strfreev(). */
char **qemu_environment(const QEMUPlan *plan);

/* NULL-terminated; caller frees with g_strfreev(). NULL for an architecture that has no machine here, or no UEFI where
 * that is wanted. */
char **qemu_argv(const QEMUPlan *plan);

/* 52:54:00 and three bytes of SHA-256(name), "52:54:00:aa:bb:cc". Caller frees. */
char *mac_from_name(const char *name);

/* Guest's side of user networking (its address: launch-wire.h): passt behind mcp-passt; see service/README.md for why
 * each option is there. */
#define USER_NET_PREFIX 24

typedef struct PasstPlan {
        const char *binary;
        bool foreground;
        const PortForward *ports;
        size_t n_ports;
} PasstPlan;

/* The control channel is TPM_FD, the state a file, or TPM_STATE_FD where path is NULL. NULL-terminated; caller frees with g_strfreev(). */
char **swtpm_argv(const char *binary, const char *path);

/* The socket is PASST_FD. NULL-terminated; caller frees with g_strfreev(). */
char **passt_argv(const PasstPlan *plan);
