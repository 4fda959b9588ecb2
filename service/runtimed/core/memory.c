/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns MemoryTarget and MemoryActual. */
#include "core/memory.h"

#include <inttypes.h>

#include "core/request.h"

#define MIB (1024ULL * 1024ULL)

static uint64_t whole(const VM *vm) {
        return vm->record->spec->memory_mib * MIB;
}

static void set_target(VM *vm, uint64_t bytes) {
        vm_changing(vm, "MemoryTarget");
        vm->memory_target = bytes;
}

static void set_actual(VM *vm, uint64_t bytes) {
        vm_changing(vm, "MemoryActual");
        vm->memory_actual = bytes;
}

void memory_begin(VM *vm) {
        set_target(vm, whole(vm));
        set_actual(vm, whole(vm));
}

void memory_end(VM *vm) {
        set_target(vm, 0);
        set_actual(vm, 0);
}

void memory_is(VM *vm, json_t *message) {
        json_int_t actual = json_integer_value(json_object_get(message, "actual")),
                   target = json_integer_value(json_object_get(message, "target"));

        if (!vm_state_is_active(vm_state(vm)) || vm_state(vm) == VM_PREPARING)
                return;
        if (actual > 0)
                set_actual(vm, MIN((uint64_t) actual, whole(vm)));
        if (target > 0)
                set_target(vm, MIN((uint64_t) target, whole(vm)));
}

int memory_set(VM *vm, uint64_t bytes, VMDone done, void *userdata, Problem **ret_problem) {
        int r;

        if (!vm_state_has_guest(vm_state(vm)))
                return request_fail_state(vm, "SetMemory", ret_problem);
        if (bytes < MIN(SPEC_MEMORY_MIN * MIB, whole(vm)) || bytes > whole(vm))
                return problem_set(ret_problem, "InvalidSpec", NULL,
                        "memory: %" PRIu64 " is not between %llu and %" PRIu64 " bytes, the VM's MemoryMiB", bytes,
                        SPEC_MEMORY_MIN * MIB, whole(vm));
        if (!vm->monitor)
                return request_fail_state(vm, "SetMemory", ret_problem);
        r = request_send(vm, json_pack("{s:s, s:I}", "type", "balloon", "bytes", (json_int_t) bytes), done, userdata);
        if (r < 0)
                return problem_set(
                        ret_problem, "Busy", NULL, "the VM's monitor does not take the request: %s", g_strerror(-r));
        return 0;
}
