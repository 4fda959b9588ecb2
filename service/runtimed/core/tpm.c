/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the units of TPMs. */
#include "core/tpm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/boot-plan.h"
#include "qemu/machine-table.h"
#include "shared/fd.h"
#include "shared/log.h"

#define STATE_FILE "tpm"

static char *tpm_unit(const VM *vm) {
        return g_strdup_printf("mcp-tpm@%s.service", vm->record->unit);
}

static void finish(VM *vm, const Problem *problem) {
        TPMDone done = vm->tpm_done;

        vm->tpm_done = NULL;
        if (done)
                done(vm, problem);
}

static void on_message(Helper *h, json_t *message, void *userdata) {
        VM *vm = userdata;
        const char *type = json_string_value(json_object_get(message, "type"));
        const char *error = json_string_value(json_object_get(message, "error"));
        const char *text = json_string_value(json_object_get(message, "message"));
        g_autoptr(Problem) problem = NULL;

        if (strcmp(type, "ready") == 0) {
                finish(vm, NULL);
                return;
        }
        if (strcmp(type, "failed") != 0)
                return;
        problem = problem_new(g_strcmp0(error, "ToolMissing") == 0 ? "ToolMissing" : "BuildFailed", NULL,
                "the TPM could not be started: %s", text ?: "no reason given");
        finish(vm, problem);
}

/* After it has said that it is ready this is no news: swtpm itself speaks to QEMU only. */
static void on_end(Helper *h, int r, const char *text, void *userdata) {
        VM *vm = userdata;
        g_autoptr(Problem) problem = NULL;

        if (!vm->tpm_done) {
                vm->tpm = helper_free(vm->tpm);
                return;
        }
        problem = problem_new("BuildFailed", NULL, "the TPM ended before it was ready: %s", text);
        finish(vm, problem);
}

static const HelperOps ops = {.message = on_message, .end = on_end};

/* swtpm opens it again through /proc/self/fd as another user, hence the mode; the directory is closed to others. */
static int open_state(VM *vm) {
        _cleanup_close_ int fd = store_vm_open(vm->runtime->store, vm->name, STATE_FILE, O_RDWR | O_CREAT);

        if (fd < 0)
                return fd;
        return fchmod(fd, 0666) < 0 ? -errno : take_fd(&fd);
}

int tpm_start(VM *vm, TPMDone done, int *ret_socket) {
        static const char *const names[] = {"socket", "state"};
        g_autofree char *unit = tpm_unit(vm);
        _cleanup_close_ int socket = -1;
        int fds[2], pair[2], r;

        fds[1] = open_state(vm);
        if (fds[1] < 0)
                return fds[1];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
                r = -errno;
                (void) close_fd(fds[1]);
                return r;
        }
        fds[0] = pair[0];
        socket = pair[1];
        vm->tpm_done = done;
        r = helper_start(vm->runtime->launch, unit, boot_tpm_message(vm->runtime), fds, names, 2, &ops, vm, &vm->tpm);
        if (r < 0) {
                vm->tpm_done = NULL;
                return r;
        }
        *ret_socket = take_fd(&socket);
        return 0;
}

void tpm_stop(VM *vm) {
        g_autofree char *unit = NULL;

        vm->tpm_done = NULL;
        vm->tpm = helper_free(vm->tpm);
        if (!boot_has_uefi(vm->record->spec))
                return;
        unit = tpm_unit(vm);
        systemd_stop_and_forget(vm->runtime->systemd, unit);
}

int tpm_check_tools(Runtime *rt, const VMSpec *spec, Problem **ret_problem) {
        const Machine *machine = machine_find(spec->architecture);

        if (!boot_has_uefi(spec) || !machine || !machine->uefi)
                return 0;
        if (access(machine->uefi->code, R_OK) < 0 || access(machine->uefi->vars, R_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Profile",
                        "Profile: '%s' needs %s and %s; install the package %s", spec->profile, machine->uefi->code,
                        machine->uefi->vars, machine->uefi->package);
        if (access(rt->config->swtpm, X_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Profile",
                        "Profile: '%s' needs a TPM, and %s is not there; install the package swtpm or set SWTPM= in "
                        "runtime.conf",
                        spec->profile, rt->config->swtpm);
        return 0;
}
