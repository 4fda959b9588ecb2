/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker reads the directory; each record then becomes a VM, or a line that says why not. */
#include "core/import-state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "core/image.h"
#include "core/network.h"
#include "core/vm.h"
#include "core/work.h"
#include "model/name.h"
#include "model/old-state.h"
#include "shared/fd.h"

#define STATE_BYTES_MAX (32U << 20) /* what the worker may have written */

typedef struct StateImport {
        Runtime *runtime;
        Job *job;
        char *tmp;
        int fd;
        Work *work;
        unsigned imported, left;
} StateImport;

static void import_free(StateImport *si) {
        (void) work_cancel(si->work);
        if (si->tmp)
                store_cache_discard(si->runtime->store, si->tmp);
        (void) close_fd(si->fd);
        g_free(si->tmp);
        g_free(si);
}

static void import_end(StateImport *si, const Problem *problem) {
        Job *j = si->job;

        import_free(si);
        job_finish(j, problem);
}

static void on_cancel(Job *j, void *userdata) {
        g_autoptr(Problem) p = problem_new("Canceled", NULL, "the import was canceled");

        import_end(userdata, p);
}

static void say(StateImport *si, int level, const char *name, const char *text) {
        g_autofree char *shown = problem_quote(name);
        g_autofree char *line = g_strdup_printf("%s: %s", shown, text);

        job_log(si->job, level, line);
}

/* What its owner has to do before it starts. */
static char *reason_of(const VMRecord *record) {
        if (*record->image_digest)
                return g_strdup("imported from an older system");
        return g_strdup(
                "imported from an older system; its image is not here yet: pull or import it under the name that "
                "Image tells, then start the VM");
}

static int take_vm(StateImport *si, const char *name, json_t *old, const char *ip, Problem **ret_problem) {
        Runtime *rt = si->runtime;
        g_autoptr(VMRecord) record = NULL;
        VM *vm;
        int r;

        r = vm_check_name(rt, name, ret_problem);
        if (r >= 0)
                r = old_state_record(name, old, ip, BUILTIN_NETWORK, &rt->limits, &record, ret_problem);
        if (r < 0)
                return r;
        g_free(record->uuid);
        record->uuid = g_uuid_string_random();
        if (record->created_at == 0)
                record->created_at = now_realtime();
        vm_record_resolve_image(rt, record);
        g_free(record->state_reason);
        record->state_reason = reason_of(record);
        r = vm_add(rt, g_steal_pointer(&record), &vm, ret_problem);
        if (r >= 0)
                say(si, LOG_INFO, name, *vm->record->image_digest ? "imported" : "imported; its image is not here yet");
        return r;
}

/* Those that ips.json names, or the others: an address is theirs before it is anybody's who only says so. */
static void take_vms(StateImport *si, json_t *state, bool listed) {
        json_t *ips = json_object_get(state, "ips"), *value;
        const char *name;

        json_object_foreach(json_object_get(state, "vms"), name, value) {
                const char *ip = json_string_value(json_object_get(ips, name));
                g_autoptr(Problem) problem = NULL;

                if ((ip != NULL) != listed)
                        continue;
                if (take_vm(si, name, value, ip, &problem) >= 0) {
                        si->imported++;
                } else {
                        si->left++;
                        say(si, LOG_WARNING, name, problem->text);
                }
        }
}

static void take_all(StateImport *si, json_t *state) {
        const char *name;
        json_t *value;

        take_vms(si, state, true);
        take_vms(si, state, false);
        json_object_foreach(json_object_get(state, "problems"), name, value) {
                si->left++;
                say(si, LOG_WARNING, name, json_string_value(value) ?: "it cannot be read");
        }
}

static json_t *load_state(int fd) {
        json_t *state = NULL;
        char *text = NULL;
        size_t len;

        if (read_file(fd, STATE_BYTES_MAX, &text, &len) >= 0)
                state = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        free(text);
        return state;
}

static void on_read(json_t *result, const Problem *problem, void *userdata) {
        StateImport *si = userdata;
        g_autoptr(Problem) damaged = NULL;
        g_autofree char *line = NULL;
        json_t *state;

        si->work = NULL;
        if (problem) {
                import_end(si, problem);
                return;
        }
        state = load_state(si->fd);
        if (state) {
                take_all(si, state);
                line = g_strdup_printf("%u VMs imported, %u not", si->imported, si->left);
                job_log(si->job, LOG_INFO, line);
        } else
                damaged = problem_new("BuildFailed", NULL, "the worker's answer cannot be read");
        json_decref(state);
        import_end(si, damaged);
}

static int start(StateImport *si, const char *path) {
        static const char *const names[] = {"output"};
        int fd;

        si->fd = store_cache_create(si->runtime->store, &si->tmp);
        fd = si->fd < 0 ? si->fd : fcntl(si->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return si->fd < 0 ? si->fd : -errno;
        return work_start(si->runtime, si->job, 0, 0.9,
                json_pack("{s:s, s:s, s:o}", "op", "old-state", "path", path, "roots", work_roots(si->runtime)), &fd, names, 1, on_read,
                si, &si->work);
}

int import_state(Runtime *rt, uint32_t caller, const char *path, Job **ret, Problem **ret_problem) {
        StateImport *si;
        Job *j;
        int r;

        r = job_new(rt, "import-state", caller, &j, ret_problem);
        if (r < 0)
                return r;
        si = g_new(StateImport, 1);
        *si = (StateImport){.runtime = rt, .job = j, .fd = -1};
        job_set_cancel(j, on_cancel, si);
        job_announce(j);
        r = start(si, path);
        if (r < 0) {
                g_autoptr(Problem) p =
                        problem_new("BuildFailed", NULL, "the image worker could not be started: %s", g_strerror(-r));

                import_end(si, p);
        }
        *ret = j;
        return 0;
}
