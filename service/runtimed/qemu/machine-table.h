/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * What a guest of each architecture is built of: one row serves the command line, the boot and the messages that say
 * what is missing. Pure facts.
 */

typedef struct Firmware {
        const char *code, *vars; /* paths; vars is the template of a VM's own */
        const char *package;     /* Debian's */
} Firmware;

typedef struct Machine {
        const char *architecture; /* as QEMU names it: "x86_64" */
        const char *image;        /* and as images do */
        const char *machine;      /* with its options, without the accelerator */
        const char *nanos;        /* the same for a Nanos guest; NULL: it does not run here */
        const char *tcg_cpu;      /* under KVM it is the host's */
        const char *console;      /* the kernel's name of the first serial port */
        const char *program;      /* and of the virtio console, the program's own */
        const char *append;       /* more of the kernel's command line, " word word" */
        const char *append_tcg;   /* likewise, only under TCG */
        const char *disk, *nic, *serial, *rng, *balloon;
        const char *display, *tpm; /* of a VM with UEFI */
        bool fw_cfg;               /* else the boot message comes in the initrd */
        const Firmware *uefi;      /* NULL: this machine has none */
        const char *package;       /* Debian's, of qemu-system-ARCHITECTURE */
        const char *kernel;        /* Debian's, of a guest's kernel */
        const char *compiler;      /* Debian's, that makes a guest init for it */
} Machine;

/* NULL for an architecture that has no row. */
const Machine *machine_find(const char *architecture);

/* The table; ends with a row without a name. */
const Machine *machine_table(void);
