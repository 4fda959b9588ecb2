/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SetMemory and SetLimits: parse, ask the gate, call one verb; the reply waits for QEMU's or systemd's. */
#include "bus/vm-resources.h"

#include <errno.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/message.h"
#include "core/limits.h"
#include "core/memory.h"

typedef struct ResourceRequest {
        uint64_t memory;
        json_t *changes; /* of the limits, */
        VMLimits limits; /* and the whole that they make */
} ResourceRequest;

static void request_free(void *p) {
        json_decref(((ResourceRequest *) p)->changes);
        g_free(p);
}

static int begin(sd_bus_message *m, VM *vm, ResourceRequest *q, CallRun plan, CallRun run, sd_bus_error *error) {
        Call *c = call_new(bus_of(vm->runtime), m, "VM", q, request_free, run);

        call_set_vm(c, vm);
        c->plan = plan;
        return call_begin(c, error);
}

static int run_set_memory(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        ResourceRequest *q = c->request;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (memory_set(vm, q->memory, answer_done, sd_bus_message_ref(c->message), &problem) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_problem(error, problem);
        }
        return 0;
}

int vm_method_set_memory(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ResourceRequest *q = g_new0(ResourceRequest, 1);
        int r;

        r = sd_bus_message_read(m, "t", &q->memory);
        if (r < 0) {
                request_free(q);
                return r;
        }
        return begin(m, userdata, q, NULL, run_set_memory, error);
}

typedef struct Merge {
        sd_bus_error *error;
        int r;
} Merge;

static void on_limit_problem(const char *text, void *userdata) {
        Merge *merge = userdata;

        if (merge->r >= 0)
                merge->r = bus_error_named(merge->error, "InvalidSpec", "%s", text);
}

/* The present limits with the changes laid over them. */
static int plan_set_limits(Call *c, sd_bus_error *error) {
        ResourceRequest *q = c->request;
        Merge merge = {error, 0};
        json_t *whole;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        whole = limits_to_json(&vm->record->spec->limits);
        (void) json_object_update(whole, q->changes);
        (void) limits_parse(whole, &q->limits, on_limit_problem, &merge);
        json_decref(whole);
        if (merge.r >= 0 && limits_are_above_default(&q->limits))
                call_add_action(c, "manage-vms");
        return merge.r;
}

static int run_set_limits(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        ResourceRequest *q = c->request;
        VM *vm;
        int r;

        r = call_whole_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (limits_set(vm, &q->limits, answer_done, sd_bus_message_ref(c->message), &problem) < 0) {
                sd_bus_message_unref(c->message);
                return bus_error_problem(error, problem);
        }
        return 0;
}

int vm_method_set_limits(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ResourceRequest *q = g_new0(ResourceRequest, 1);
        int r;

        r = message_read_options(m, spec_key_find("Limits")->members, &q->changes, error);
        if (r < 0) {
                request_free(q);
                return r;
        }
        return begin(m, userdata, q, plan_set_limits, run_set_limits, error);
}
