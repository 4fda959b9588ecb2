/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the pending calls of VM.Wait. */
#include "bus/vm-wait.h"

#include <errno.h>
#include <string.h>

#include "bus/gate.h"

typedef struct VMWait {
        sd_bus_message *message;
        sd_bus_track *track;
        Bus *bus;
        char *vm;
        VMState state;
} VMWait;

static void wait_free(VMWait *w) {
        (void) g_ptr_array_remove_fast(w->bus->waits, w);
        sd_bus_track_unref(w->track);
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

static int on_waiter_gone(sd_bus_track *track, void *userdata) {
        wait_free(userdata);
        return 0;
}

#define WAITS_MAX 1024U

int vm_method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        VM *vm = userdata;
        Bus *b = bus_of(vm->runtime);
        VMState state = VM_STOPPED;
        const char *text;
        VMWait *w;
        int r;

        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        if (*text)
                state = vm_state_from_string(text);
        if (state == VM_STATE_INVALID)
                return bus_error_named(error, "InvalidSpec", "state: expected one of " VM_STATES);
        if (wait_is_over(state, vm_state(vm)))
                return sd_bus_reply_method_return(m, "s", vm_state_to_string(vm_state(vm)));
        if (b->waits->len >= WAITS_MAX)
                return bus_error_named(error, "QuotaExceeded", "%u calls of Wait are pending, the limit is %u",
                        b->waits->len, WAITS_MAX);
        w = g_new0(VMWait, 1);
        *w = (VMWait){.message = sd_bus_message_ref(m), .bus = b, .vm = g_strdup(vm->name), .state = state};
        g_ptr_array_add(b->waits, w);
        r = sd_bus_track_new(b->bus, &w->track, on_waiter_gone, w);
        if (r >= 0)
                r = sd_bus_track_add_sender(w->track, m);
        if (r < 0) {
                wait_free(w);
                return r;
        }
        return 1;
}
