/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the way of Limits to systemd, which writes them below /run (a drop-in of the unit, until the host's next boot).
 */
#include "core/limits.h"

#include <unistd.h>

#include "shared/log.h"

#define DROP_INS "/run/systemd/system.control"

typedef struct Setting {
        SystemdCall *call;
        Runtime *runtime;
        char *vm; /* its name, for the log */
        VMDone done;
        void *userdata;
} Setting;

static void on_set(int r, const char *text, void *userdata) {
        Setting *s = userdata;
        g_autoptr(Problem) problem = NULL;

        if (r < 0) {
                VM *vm = runtime_find_vm(s->runtime, s->vm);

                log_warning("%s: systemd does not take its limits: %s", s->vm, text);
                problem = problem_new("NotSupported", "Limits", "Limits: systemd does not take them: %s", text);
                if (vm && vm->job && !s->done)
                        job_log(vm->job, 4, problem->text);
        }
        if (s->done)
                s->done(problem, s->userdata);
        (void) g_ptr_array_remove_fast(s->runtime->settings, s);
}

void limits_setting_free(void *p) {
        Setting *s = p;

        (void) systemd_call_free(s->call);
        g_free(s->vm);
        g_free(s);
}

static int set(VM *vm, VMDone done, void *userdata) {
        g_autofree char *unit = vm_unit(vm);
        const char *names[LIMITS_MAX];
        uint64_t values[LIMITS_MAX];
        Setting *s = g_new0(Setting, 1);
        int r;

        for (int i = 0; i < LIMITS_MAX; i++) {
                names[i] = limit_names[i].unit;
                /* systemd's own word for none, of each of them */
                values[i] = vm->record->spec->limits.value[i] ?: UINT64_MAX;
        }
        *s = (Setting){.runtime = vm->runtime, .vm = g_strdup(vm->name), .done = done, .userdata = userdata};
        g_ptr_array_add(vm->runtime->settings, s);
        r = systemd_set_properties(vm->runtime->systemd, unit, names, values, LIMITS_MAX, on_set, s, &s->call);
        if (r < 0)
                (void) g_ptr_array_remove_fast(vm->runtime->settings, s);
        return r;
}

/* Whether systemd keeps limits of this unit. */
static bool has_had_limits(const VM *vm) {
        g_autofree char *unit = vm_unit(vm), *path = g_strdup_printf(DROP_INS "/%s.d", unit);

        return access(path, F_OK) == 0;
}

void limits_apply_at_start(VM *vm) {
        if ((limits_are_set(&vm->record->spec->limits) || has_had_limits(vm)) && set(vm, NULL, NULL) < 0)
                log_warning("%s: its limits could not be sent to systemd", vm->name);
}

int limits_set(VM *vm, const VMLimits *limits, VMDone done, void *userdata, Problem **ret_problem) {
        VMLimits before = vm->record->spec->limits;
        int r;

        vm->record->spec->limits = *limits;
        r = vm_save(vm);
        if (r < 0) {
                vm->record->spec->limits = before;
                return problem_set(
                        ret_problem, "NoSpace", NULL, "the VM's record could not be written: %s", g_strerror(-r));
        }
        vm->generation++;
        if (!vm_state_is_active(vm_state(vm))) {
                done(NULL, userdata);
                return 0;
        }
        r = set(vm, done, userdata);
        if (r < 0)
                return problem_set(ret_problem, "NotSupported", NULL, "systemd cannot be asked: %s", g_strerror(-r));
        return 0;
}
