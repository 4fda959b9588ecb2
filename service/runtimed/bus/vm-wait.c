/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the pending calls of VM.Wait. */
#include "bus/vm-wait.h"

#include <errno.h>
#include <string.h>

#include "bus/gate.h"
#include "bus/leavers.h"
#include "core/pools.h"

typedef struct VMWait {
        sd_bus_message *message;
        Leaver *leaver;
        Bus *bus;
        uint32_t uid;
        char *vm;
        VMState state;
} VMWait;

static void wait_free(VMWait *w) {
        (void) g_ptr_array_remove_fast(w->bus->waits, w);
        (void) leaver_forget(w->leaver);
        sd_bus_message_unref(w->message);
        g_free(w->vm);
        g_free(w);
}

/* Reached, or out of reach: a VM that came to rest goes nowhere by itself. */
static bool wait_is_over(VMState wanted, VMState now) {
        return wanted == now || now == VM_STOPPED || now == VM_FAILED;
}

void vm_waits_look(Bus *b, VM *vm) {
        for (guint i = b->waits->len; i > 0; i--) {
                VMWait *w = b->waits->pdata[i - 1];

                if (strcmp(w->vm, vm->name) == 0 && wait_is_over(w->state, vm_state(vm))) {
                        (void) sd_bus_reply_method_return(w->message, "s", vm_state_to_string(vm_state(vm)));
                        wait_free(w);
                }
        }
}

void vm_waits_end(Bus *b, VM *vm) {
        for (guint i = b->waits->len; i > 0; i--) {
                VMWait *w = b->waits->pdata[i - 1];

                if (strcmp(w->vm, vm->name) == 0) {
                        (void) sd_bus_reply_method_errorf(
                                w->message, ERROR_PREFIX "NoSuchVM", "VM '%s' was removed", vm->name);
                        wait_free(w);
                }
        }
}

static void on_waiter_gone(void *userdata) {
        wait_free(userdata);
}

#define WAITS_MAX 1024U /* of everybody */

/* Who waits takes a place from others. */
static int check_place(Call *c, sd_bus_error *error) {
        const GPtrArray *waits = c->bus->waits;
        g_auto(PoolUse) u = {.user = c->uid, .free = WAITS_MAX - MIN(waits->len, WAITS_MAX)};
        g_autoptr(Problem) problem = NULL;

        for (guint i = 0; i < waits->len; i++)
                pool_hold(&u, ((VMWait *) waits->pdata[i])->uid, 1);
        if (u.free == 0)
                return bus_error_named(
                        error, "QuotaExceeded", "%u calls of Wait are pending, the limit is %u", waits->len, WAITS_MAX);
        if (pool_room(c->bus->runtime, &u) > 0)
                return 0;
        (void) pool_problem(&u, 1, NULL, "pending calls of Wait", "all VMs", &problem);
        return bus_error_problem(error, problem);
}

/* By name and identity; that it changed while the caller's uid was asked for does not matter. */
static VM *find_vm(const Call *c) {
        VM *vm = runtime_find_vm(c->bus->runtime, c->vm_name);

        return vm && strcmp(vm->record ? vm->record->uuid : "", c->vm_uuid) == 0 ? vm : NULL;
}

static int run_wait(Call *c, sd_bus_error *error) {
        VMState state = *(VMState *) c->request;
        VM *vm = find_vm(c);
        VMWait *w;
        int r;

        if (!vm)
                return bus_error_named(error, "NoSuchVM", "VM '%s' was removed", c->vm_name);
        if (wait_is_over(state, vm_state(vm)))
                return sd_bus_reply_method_return(c->message, "s", vm_state_to_string(vm_state(vm)));
        r = check_place(c, error);
        if (r < 0)
                return r;
        w = g_new0(VMWait, 1);
        *w = (VMWait){.message = sd_bus_message_ref(c->message),
                .bus = c->bus,
                .uid = c->uid,
                .vm = g_strdup(vm->name),
                .state = state};
        g_ptr_array_add(c->bus->waits, w);
        w->leaver = leaver_watch(c->bus, c->message, on_waiter_gone, w);
        return 0;
}

int vm_method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = userdata;
        VMState state = VM_STOPPED;
        const char *text;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        if (*text)
                state = vm_state_from_string(text);
        if (state == VM_STATE_INVALID)
                return bus_error_named(error, "InvalidSpec", "state: expected one of " VM_STATES);
        c = call_new(bus_of(vm->runtime), m, "VM", g_memdup2(&state, sizeof state), g_free, run_wait);
        call_set_vm(c, vm);
        return call_begin(c, error);
}
