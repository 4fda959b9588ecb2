/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the files of jobs, and the jobs of daemons that died. */
#include "core/job-record.h"

#include <inttypes.h>
#include <string.h>

#include "model/name.h"
#include "shared/fd.h"
#include "shared/log.h"

#define JOBS_RESTORED_MAX 4096U

void job_record_save(Job *j) {
        json_t *record = json_pack("{s:i, s:I, s:s, s:I, s:s*, s:s*, s:s*, s:s, s:s, s:I, s:I, s:s, s:f}", "version", 1,
                "id", (json_int_t) j->id, "kind", j->kind, "owner", (json_int_t) j->owner, "vm", j->vm, "image",
                j->image, "image_id", j->image_id, "state", job_state_to_string(j->state), "stage", j->stage,
                "started_at", (json_int_t) j->started_at, "ended_at", (json_int_t) j->ended_at, "owner_name",
                j->owner_name, "progress", j->progress);

        if (record && j->problem)
                (void) json_object_set_new(record, "problem",
                        json_pack("{s:s, s:s*, s:s}", "error", j->problem->error, "key", j->problem->key, "text",
                                j->problem->text));
        if (!record || store_job_save(j->runtime->store, j->id, record) < 0) {
                log_warning("job %" PRIu32 " (%s) could not be recorded; a restart would forget it", j->id, j->kind);
                job_record_remove(j); /* better nothing than what it was before */
        }
        json_decref(record);
}

void job_record_remove(Job *j) {
        store_job_remove(j->runtime->store, j->id);
}

/* ---- Former jobs ---- */

static Problem *read_problem(json_t *object) {
        const char *error, *key = NULL, *text;

        if (json_unpack(object, "{s:s, s?s, s:s}", "error", &error, "key", &key, "text", &text) < 0)
                return NULL;
        return problem_new(g_intern_string(error), key ? g_intern_string(key) : NULL, "%s", text);
}

/* Words of a file are interned: the job's are static. */
static Job *read_job(json_t *object) {
        const char *kind, *vm = NULL, *image = NULL, *image_id = NULL, *state_text, *stage, *owner_name = "";
        json_int_t id, owner, started_at, ended_at;
        double progress = 0;
        json_t *problem = NULL;
        JobState state;
        Job *j;

        if (json_unpack(object, "{s:I, s:s, s:I, s?s, s?s, s?s, s:s, s:s, s:I, s:I, s?o, s?s, s?F}", "id", &id, "kind",
                    &kind, "owner", &owner, "vm", &vm, "image", &image, "image_id", &image_id, "state", &state_text,
                    "stage", &stage, "started_at", &started_at, "ended_at", &ended_at, "problem", &problem,
                    "owner_name", &owner_name, "progress", &progress) < 0)
                return NULL;
        state = job_state_from_string(state_text);
        if (id < 1 || id > UINT32_MAX || owner < 0 || owner > UINT32_MAX || state == JOB_STATE_INVALID ||
                (vm && !vm_name_is_valid(vm)) || strlen(kind) > JOB_STAGE_MAX)
                return NULL;
        j = g_new0(Job, 1);
        *j = (Job){.id = (uint32_t) id,
                .kind = g_intern_string(kind),
                .owner = (uint32_t) owner,
                .owner_name = g_strdup(owner_name),
                .vm = g_strdup(vm),
                .image = g_strdup(image),
                .image_id = g_strdup(image_id),
                .state = state,
                .stage = plain_text(stage, JOB_STAGE_MAX),
                .started_at = (uint64_t) started_at,
                .ended_at = (uint64_t) ended_at,
                .waiters = waiters_new(),
                .log = G_QUEUE_INIT};
        j->progress = state == JOB_DONE ? 1.0 : CLAMP(progress, 0.0, 1.0);
        j->problem = problem ? read_problem(problem) : NULL;
        return j;
}

/* How long an ended job is still to be read; nothing where that is over: then it goes at once, and who saw it is told.
 * A clock that was set back does not prolong it.
 */
static uint64_t grace_left(const Job *j) {
        uint64_t now = now_realtime(), age = now > j->ended_at ? now - j->ended_at : 0;

        return age < JOB_GRACE_USEC ? JOB_GRACE_USEC - age : 0;
}

static void load_job(const char *text, size_t len, uint32_t id, void *userdata) {
        json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        Job *j = object ? read_job(object) : NULL;
        Runtime *rt = userdata;
        bool ended = j && job_state_is_finished(j->state);

        json_decref(object);
        if (!j || j->id != id || g_hash_table_size(rt->jobs) >= JOBS_RESTORED_MAX) {
                job_free(j);
                store_job_remove(rt->store, id);
                return;
        }
        j->runtime = rt;
        (void) g_hash_table_insert(rt->jobs, GUINT_TO_POINTER(id), j);
        if (ended)
                job_arm_grace(j, grace_left(j));
        else
                j->interrupted = true;
        rt->observer->job_new(j, rt->observer_data);
}

void jobs_load(Runtime *rt) {
        rt->last_job = store_jobs_load(rt->store, load_job, rt);
}

void jobs_interrupted(Runtime *rt) {
        g_autoptr(Problem) problem = problem_new("Interrupted", NULL,
                "the service ended while the job was under way; what it is about tells how far it came");
        g_autoptr(GPtrArray) jobs = g_ptr_array_new();
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                if (((Job *) value)->interrupted)
                        g_ptr_array_add(jobs, value);
        for (guint i = 0; i < jobs->len; i++) {
                Job *j = jobs->pdata[i];

                log_notice("job %" PRIu32 " (%s%s%s) was under way when the service ended, and has failed", j->id,
                        j->kind, j->vm ? " of " : "", j->vm ?: "");
                job_finish(j, problem);
                j->interrupted = false;
        }
}
