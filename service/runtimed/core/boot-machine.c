/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The steps of a boot that start its units: TPM, network, and the monitor with QEMU. */
#include "core/boot-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "core/boot-plan.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/restart.h"
#include "core/storage.h"
#include "core/tpm.h"
#include "core/user-network.h"
#include "qemu/argv.h"
#include "qemu/machine-table.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log-line.h"

/* ---- 6. TPM ---- */

static void undo_tpm(Boot *b) {
        tpm_stop(b->vm);
}

static void on_tpm(VM *vm, const Problem *problem) {
        if (problem)
                boot_abort(vm->boot, problem);
        else
                boot_next(vm->boot);
}

void boot_step_tpm(Boot *b) {
        int r;

        if (!boot_has_uefi(b->vm->record->spec)) {
                boot_next(b);
                return;
        }
        boot_push_undo(b, undo_tpm);
        r = tpm_start(b->vm, on_tpm, &b->tpm);
        if (r < 0)
                boot_abort_errno(b, r, "the TPM's unit could not be started");
}

/* ---- 7. network ---- */

static void undo_user_network(Boot *b) {
        user_network_stop(b->vm);
}

void boot_networked(Boot *b) {
        if (b->step == STEP_NETWORK)
                boot_next(b);
}

void boot_network_failed(Boot *b, const Problem *problem) {
        if (b->step <= STEP_NETWORK)
                boot_abort(b, problem);
}

/* The VM's unit starts beside what is left to do, and its monitor waits for its orders. */
static int prepare_monitor(Boot *b) {
        g_autofree char *unit = NULL;

        if (b->vm->monitor) /* the unit was started by hand */
                return 0;
        unit = vm_unit(b->vm);
        boot_push_undo(b, boot_undo_monitor);
        return helper_prepare(b->runtime->launch, unit, &vm_monitor_ops, b->vm, &b->vm->monitor);
}

static void undo_attach(Boot *b) {
        network_detach(b->vm);
}

static void on_attached(int *fds, size_t n_fds, const Problem *problem, void *userdata) {
        Boot *b = userdata;

        b->attachment = NULL;
        if (problem) {
                boot_abort(b, problem);
                return;
        }
        b->n_network = MIN(n_fds, G_N_ELEMENTS(b->network));
        for (size_t i = 0; i < b->n_network; i++)
                b->network[i] = take_fd(&fds[i]);
        CRASH_POINT(START_TAP_HELD);
        boot_next(b);
}

/* The longer way of the two: it begins first. */
static int start_user_network(Boot *b) {
        int pair[2], probes[2] = {-1, -1}, r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        if (spec_is_probed_by_frames(b->vm->record->spec) &&
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, probes) < 0) {
                r = -errno;
                (void) close_fd(pair[0]);
                (void) close_fd(pair[1]);
                return r;
        }
        b->probes = probes[1];
        b->network[0] = pair[1];
        b->n_network = 1;
        boot_push_undo(b, undo_user_network);
        r = user_network_start(b->vm, pair[0], probes[0]);
        CRASH_POINT(START_PASST);
        return r;
}

void boot_step_network(Boot *b) {
        const VMSpec *spec = b->vm->record->spec;
        bool user = strcmp(spec->network, NETWORK_USER) == 0;
        int r = user ? start_user_network(b) : 0;

        if (r < 0) {
                boot_abort_errno(b, r, "the network's unit could not be started");
                return;
        }
        r = prepare_monitor(b);
        if (r < 0)
                boot_abort_errno(b, r, "the VM's unit could not be started");
        else if (network_is_bridge(spec->network)) {
                boot_push_undo(b, undo_attach);
                network_attach(b->vm, boot_queues(spec), on_attached, b, &b->attachment);
                CRASH_POINT(START_TAP);
        } else if (!user)
                boot_next(b);
}

/* ---- 8. monitor ---- */

void boot_undo_monitor(Boot *b) {
        b->vm->monitor = helper_free(b->vm->monitor);
        vm_end_unit(b->vm);
}

static int open_firmware(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* Opens everything the monitor gets; fds and names in the order of launch-wire.h. Returns how many, or a negative
 * errno. */
static int collect_fds(Boot *b, const QEMUPlan *plan, int boot_message, int *fds, const char **names) {
        static const char *const logs[LOG_SEGMENTS] = {"log0", "log1", "log2"};
        const Machine *machine = machine_find(plan->architecture);
        Store *store = b->runtime->store;
        int n = 0, r = 0;

        for (unsigned i = 0; i < LOG_SEGMENTS; i++) {
                names[n] = logs[i];
                fds[n++] = store_vm_open(store, b->vm->name, logs[i], O_RDWR | O_CREAT);
        }
        names[n] = "exit";
        fds[n++] = store_vm_open(store, b->vm->name, "exit", O_RDWR | O_CREAT | O_TRUNC);
        if (qemu_boot_in_initrd(plan)) {
                names[n] = "boot";
                fds[n++] = fcntl(boot_message, F_DUPFD_CLOEXEC, 3);
        }
        if (plan->uefi) {
                names[n] = "vars-template";
                fds[n++] = open_firmware(machine->uefi->vars);
        }
        if (b->probes >= 0) {
                names[n] = "probes";
                fds[n++] = take_fd(&b->probes);
        }
        for (QEMUSlot slot = 0; slot < QEMU_SLOT_MAX; slot++) {
                if (qemu_slot_fd(plan, slot) < 0)
                        continue;
                names[n] = "qemu";
                switch (slot) {
                case QEMU_SLOT_KERNEL:
                        fds[n++] = fcntl(b->kernel->image, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_INITRD:
                        fds[n++] = store_cache_open(store, b->kernel->cache_key);
                        break;
                case QEMU_SLOT_BOOT:
                        fds[n++] = fcntl(boot_message, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_CREDENTIALS:
                        fds[n++] = fcntl(b->vm->payload.credentials, F_DUPFD_CLOEXEC, 3);
                        break;
                case QEMU_SLOT_VOLUMES:
                        fds[n++] = storage_open_volumes(b->vm);
                        break;
                case QEMU_SLOT_SHARES:
                        for (size_t i = 0; i < b->n_shares; i++) {
                                names[n] = "qemu";
                                fds[n++] = take_fd(&b->shares[i]);
                        }
                        break;
                case QEMU_SLOT_DISKS:
                        for (size_t i = 0; i < b->vm->record->spec->n_disks; i++) {
                                names[n] = "qemu";
                                fds[n++] = store_disk_open(store, vm_owner(b->vm), b->vm->record->spec->disks[i].name);
                        }
                        break;
                case QEMU_SLOT_ARCHIVES:
                        fds[n++] = storage_open_archives(b->vm);
                        break;
                case QEMU_SLOT_CODE:
                        fds[n++] = open_firmware(machine->uefi->code);
                        break;
                case QEMU_SLOT_VARS:
                        fds[n++] = store_vm_open(store, b->vm->name, "uefi-vars", O_RDWR | O_CREAT);
                        break;
                case QEMU_SLOT_TPM:
                        fds[n++] = take_fd(&b->tpm);
                        break;
                case QEMU_SLOT_BUNDLE:
                        fds[n++] = take_fd(&b->bundle_dir);
                        break;
                case QEMU_SLOT_ROOT:
                        fds[n++] = take_fd(&b->root);
                        break;
                default:
                        for (size_t i = 0; i < b->n_network; i++) {
                                names[n] = "qemu";
                                fds[n++] = take_fd(&b->network[i]);
                        }
                        break;
                }
        }
        for (int i = 0; i < n; i++)
                if (fds[i] < 0)
                        r = fds[i];
        if (r < 0)
                for (int i = 0; i < n; i++)
                        fds[i] = close_fd(fds[i]);
        return r < 0 ? r : n;
}

/* Neither ready nor gone: the guest is ended, and the boot with it. */
static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Boot *b = userdata;

        b->vm->failure = BOOT_TIMEOUT_TEXT;
        vm_end_now(b->vm);
        return 0;
}

/* The record says what is about to run before it runs: a daemon that dies now finds its VM again. */
static int record_boot(Boot *b) {
        VMRecord *record = b->vm->record;

        vm_changing(b->vm, "BootId");
        vm_changing(b->vm, "ExitReason");
        vm_changing(b->vm, "ExitCode");
        vm_changing(b->vm, "Accelerator");
        vm_changing(b->vm, "Profile");
        record->boot_id++;
        record->exit_reason = EXIT_NONE;
        record->exit_code = 0;
        g_free(record->host_boot);
        record->host_boot = g_strdup(b->runtime->host_boot);
        g_free(record->accelerator);
        record->accelerator = g_strdup(accelerator_to_string(b->accelerator));
        g_free(record->profile);
        record->profile = g_strdup(profile_to_string(boot_profile(record->spec, b->accelerator)));
        vm_set_state(b->vm, VM_STARTING, "");
        if (b->vm->record->spec->health.kind != PROBE_NONE)
                vm_set_health(b->vm, HEALTH_STARTING);
        return vm_save(b->vm);
}

void boot_step_monitor(Boot *b) {
        VM *vm = b->vm;
        g_autoptr(Problem) problem = NULL;
        g_auto(GStrv) argv = NULL;
        g_autofree char *mac = NULL;
        _cleanup_close_ int boot_message = -1;
        int fds[LAUNCH_FDS_MAX], n, r;
        const char *names[LAUNCH_FDS_MAX];
        json_t *message;
        QEMUPlan plan;

        if (!spec_is_nanos(vm->record->spec))
                boot_message = boot_message_memfd(b->runtime, vm, &problem);
        if (problem) {
                boot_abort(b, problem);
                return;
        }
        boot_plan(b->runtime, vm->name, vm->record->uuid, vm->record->spec, b->accelerator, &plan, &mac);
        plan.bundle = b->bundle ? &b->bundle->bundle : NULL;
        argv = qemu_argv(&plan);
        n = collect_fds(b, &plan, boot_message, fds, names);
        if (n < 0) {
                boot_abort_errno(b, n, "the VM's files could not be opened");
                return;
        }
        CRASH_POINT(START_FILES);
        r = record_boot(b);
        CRASH_POINT(START_RECORDED);
        if (r < 0) {
                for (int i = 0; i < n; i++)
                        (void) close_fd(fds[i]);
                boot_abort_errno(b, r, "the VM's record could not be written");
                return;
        }
        message = boot_launch_message(vm, argv);
        if (plan.bundle)
                (void) json_object_set_new(message, "environment", boot_qemu_environment(&plan));
        if (qemu_boot_in_initrd(&plan))
                (void) json_object_set_new(message, "boot_in", json_integer(QEMU_SLOT_INITRD));
        if (plan.uefi)
                (void) json_object_set_new(
                        message, "vars", json_integer(qemu_slot_fd(&plan, QEMU_SLOT_VARS) - QEMU_FD_FIRST));
        r = helper_launch(vm->monitor, message, fds, names, (size_t) n);
        if (r >= 0)
                r = sd_event_add_time_relative(b->runtime->event, &b->timer, CLOCK_MONOTONIC,
                        b->runtime->config->boot_timeout, 0, on_timeout, b);
        CRASH_POINT(START_UNIT);
        if (r < 0)
                boot_abort_errno(b, r, "the VM's unit could not be started");
}
