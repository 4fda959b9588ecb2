/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/boot.h"
#include "core/image-check.h"
#include "core/initrd.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/profile.h"
#include "core/storage.h"

/* A boot, for the files that make its steps: boot-prepare.c what is needed before anything runs, boot-machine.c what
 * runs. */

typedef void (*BootStep)(Boot *b);
typedef void (*BootUndo)(Boot *b);

enum {
        STEP_STORAGE,
        STEP_ACCELERATOR,
        STEP_PROFILE,
        STEP_IMAGE,
        STEP_INITRD,
        STEP_TPM,
        STEP_NETWORK,
        STEP_MONITOR,
        STEPS
};

struct Boot {
        Runtime *runtime;
        VM *vm;
        Job *job;    /* the start's; NULL once a stop has taken over */
        size_t step; /* index of the step under way */
        BootUndo undo[STEPS + 1];
        size_t n_undo;
        Waiter *waiter; /* of the step under way */
        Storage *storage;
        int shares[SPEC_SHARES_MAX]; /* directories of the host */
        size_t n_shares;
        Kernel *kernel;
        VMPull *pull;     /* its image, see vm_is_pulling() */
        NanosBuild *disk; /* of a Nanos guest, being made */
        int root;         /* the root image that was found to be what was stored; then the Nanos guest's disk */
        Accelerator accelerator;
        ProfileBundle *bundle; /* the profile's own QEMU, or NULL: the host's */
        int bundle_dir;
        int network[NETD_QUEUES_MAX]; /* QEMU's side: a socket, or the queues of a TAP */
        size_t n_network;
        int probes;                    /* the monitor's side where mcp-passt probes the guest; -1: it does not */
        int tpm;                       /* QEMU's side */
        NetworkAttachment *attachment; /* asked of netd, not answered yet */
        sd_event_source *timer;        /* the guest must be up, or ready, by then */
        bool program;                  /* it was executed; the VM's readiness is waited for */
};

/* The next step, when the present one is done. */
void boot_next(Boot *b);

/* The present step could not be done: everything before it is undone, the VM is failed. */
void boot_abort(Boot *b, const Problem *problem);
void boot_abort_errno(Boot *b, int r, const char *what);

/* Run backwards at a failure or a cancel; a step pushes two at most. */
void boot_push_undo(Boot *b, BootUndo undo);

void boot_step_storage(Boot *b);
void boot_step_accelerator(Boot *b);
void boot_step_profile(Boot *b);
void boot_step_image(Boot *b);
void boot_step_initrd(Boot *b);
void boot_step_tpm(Boot *b);
void boot_step_network(Boot *b);
void boot_step_monitor(Boot *b);
void boot_undo_monitor(Boot *b);
