/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "config.h"

/* A guest kernel: of the host's architecture, KernelDirectory/vmlinuz-VERSION with
 * ModulesDirectory/VERSION/modules.dep; of another one, the same in boot/ and lib/modules/ below
 * ForeignKernelDirectory/ARCHITECTURE. */
typedef struct Kernel {
        char *version;
        int image;   /* read-only */
        int modules; /* O_PATH directory */
        int guest_init;
        bool uefi;       /* its initrd has what such a guest needs more */
        char *cache_key; /* names its base initrd: changes when the kernel, its modules or guest init change */
} Kernel;

/* version "" or NULL: the newest. The problem lists what there is (InvalidSpec), or says what to install (ToolMissing).
 */
int kernel_find(const Config *config, const char *architecture, const char *version, bool uefi, Kernel **ret,
        Problem **ret_problem);
void kernel_free(Kernel *k);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Kernel, kernel_free)
