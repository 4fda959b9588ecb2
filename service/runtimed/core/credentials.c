/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the values of VMs' credentials: a sealed memfd each, kept by systemd over restarts of the daemon, and nowhere
 * else. */
#include <errno.h>
#include <string.h>

#include "core/vm.h"
#include "shared/fd.h"
#include "shared/log.h"

static char *store_name(const VM *vm) {
        return g_strconcat("credentials-", vm->record->uuid, NULL);
}

int vm_check_credentials(VM *vm, char **names, Problem **ret_problem) {
        char **known = vm->record ? vm->record->spec->credentials : NULL;
        g_autofree char *list = NULL;

        if (!known || g_strv_equal((const char *const *) known, (const char *const *) names))
                return 0;
        list = g_strjoinv(", ", known);
        return problem_set(ret_problem, "InvalidSpec", "Credentials",
                "Credentials: expected a value for each name of the VM's spec and no others: %s",
                *known ? list : "it has none");
}

int vm_need_credentials(const VM *vm, Problem **ret_problem) {
        g_autofree char *list = NULL;

        if (vm->payload.credentials >= 0 || !*vm->record->spec->credentials)
                return 0;
        list = g_strjoinv(", ", vm->record->spec->credentials);
        return problem_set(ret_problem, "CredentialsMissing", "Credentials",
                "Credentials: the values of %s are kept in memory alone and are gone since the host or the service was "
                "stopped; give them to Start again",
                list);
}

int vm_take_credentials(VM *vm, SpecPayload *payload, Problem **ret_problem) {
        g_autofree char *name = store_name(vm);
        int r;

        if (!payload || payload->credentials < 0)
                return 0;
        r = fd_store_put(vm->runtime->fd_store, name, payload->credentials);
        if (r < 0)
                return problem_set(ret_problem, r == -EDQUOT ? "LimitExceeded" : "NoSpace", "Credentials",
                        "Credentials: systemd cannot keep them for the service: %s", g_strerror(-r));
        (void) close_fd(vm->payload.credentials);
        vm->payload.credentials = take_fd(&payload->credentials);
        return 0;
}

void vm_drop_credentials(VM *vm) {
        g_autofree char *name = store_name(vm);

        if (vm->payload.credentials < 0)
                return;
        fd_store_drop(vm->runtime->fd_store, name);
        vm->payload.credentials = close_fd(vm->payload.credentials);
}

void vm_credentials_restore(VM *vm) {
        g_autofree char *name = NULL;

        if (!*vm->record->spec->credentials)
                return;
        name = store_name(vm);
        vm->payload.credentials = fd_store_take(vm->runtime->fd_store, name);
}
