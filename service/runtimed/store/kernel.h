/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"

/* What a guest needs of its kernel beyond the usual. */
enum {
        KERNEL_UEFI = 1,
        KERNEL_DISKS = 2, /* ext4 */
        KERNEL_9P = 4,
};

/* A guest kernel: of the host's architecture, KernelDirectory/vmlinuz-VERSION with
 * ModulesDirectory/VERSION/modules.dep; of another one, the same in boot/ and (usr/)lib/modules/ below
 * ForeignKernelDirectory/ARCHITECTURE. */
typedef struct Kernel {
        char *version;
        int image;   /* read-only */
        int modules; /* O_PATH directory */
        int guest_init;
        bool fw_cfg; /* its machine tells guests what is per boot that way */
        unsigned needs;  /* KERNEL_*: what its initrd has beyond what every guest needs */
        char *cache_key; /* names its base initrd: changes when the kernel, its modules or guest init change */
} Kernel;

/* version "" or NULL: the newest. The problem lists what there is (InvalidSpec), or says what to install (ToolMissing).
 */
int kernel_find(const Config *config, const char *architecture, const char *version, unsigned needs, Kernel **ret,
        Problem **ret_problem);
void kernel_free(Kernel *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kernel, kernel_free)
