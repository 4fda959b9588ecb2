/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the line of builds: who may run, who waits, who is next. */
#include "core/builds.h"

#include <inttypes.h>

struct Builds {
        Runtime *runtime;
        GQueue line;       /* Job, oldest first */
        GHashTable *turns; /* uid -> number of his last turn; kept while somebody waits */
        guint64 last_turn;
        sd_event_source *look;
};

struct BuildPlace {
        BuildReady ready;
        BuildStart start;
        BuildDrop drop;
        void *userdata;
        bool running;
};

static void count(Runtime *rt, uint32_t owner, uint32_t *ret_running, uint32_t *ret_waiting, uint32_t *ret_all) {
        GHashTableIter iter;
        gpointer value;

        *ret_running = *ret_waiting = *ret_all = 0;
        g_hash_table_iter_init(&iter, rt->jobs);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const Job *j = value;

                if (!j->build)
                        continue;
                *ret_all += j->build->running;
                if (j->owner != owner)
                        continue;
                *ret_running += j->build->running;
                *ret_waiting += !j->build->running;
        }
}

int builds_check(Runtime *rt, uint32_t owner, Problem **ret_problem) {
        uint32_t running, waiting, all;

        count(rt, owner, &running, &waiting, &all);
        if (waiting < rt->config->queued_builds_max)
                return 0;
        return problem_set(ret_problem, "QuotaExceeded", NULL,
                "%" PRIu32 " jobs of user %" PRIu32 " wait for their turn already, the limit is %" PRIu32
                " (QueuedBuildsPerUser= in runtime.conf)",
                waiting, owner, rt->config->queued_builds_max);
}

static guint64 last_served(Builds *b, uint32_t owner) {
        const guint64 *turn = g_hash_table_lookup(b->turns, GUINT_TO_POINTER(owner));

        return turn ? *turn : 0;
}

/* How many of its owner's run where the job may begin now, else -1. */
static int64_t rank(Job *j) {
        Runtime *rt = j->runtime;
        uint32_t running, waiting, all;

        count(rt, j->owner, &running, &waiting, &all);
        if (running >= rt->config->builds_per_user || all >= rt->config->builds_max)
                return -1;
        return j->build->ready && !j->build->ready(j, j->build->userdata) ? -1 : (int64_t) running;
}

static Job *next(Builds *b) {
        int64_t best_rank = -1;
        Job *best = NULL;

        for (GList *l = b->line.head; l; l = l->next) {
                Job *j = l->data;
                int64_t r = rank(j);

                if (r < 0)
                        continue;
                if (!best || r < best_rank ||
                        (r == best_rank && last_served(b, j->owner) < last_served(b, best->owner))) {
                        best = j;
                        best_rank = r;
                }
        }
        return best;
}

static void begin(Builds *b, Job *j) {
        guint64 *turn = g_new(guint64, 1);

        *turn = ++b->last_turn;
        (void) g_hash_table_replace(b->turns, GUINT_TO_POINTER(j->owner), turn);
        (void) g_queue_remove(&b->line, j);
        j->build->running = true;
        job_set_queued(j, false);
        j->build->start(j, j->build->userdata);
}

static int on_look(sd_event_source *source, void *userdata) {
        Builds *b = userdata;
        Job *j;

        while ((j = next(b)))
                begin(b, j);
        return 0;
}

void builds_join(Job *j, BuildReady ready, BuildStart start, BuildDrop drop, void *userdata) {
        Builds *b = j->runtime->builds;

        j->build = g_new(BuildPlace, 1);
        *j->build = (BuildPlace){ready, start, drop, userdata, false};
        g_queue_push_tail(&b->line, j);
        if (next(b) == j)
                begin(b, j);
        else
                job_set_queued(j, true);
}

void builds_leave(Job *j) {
        Builds *b = j->runtime->builds;

        if (!j->build)
                return;
        (void) g_queue_remove(&b->line, j);
        g_clear_pointer(&j->build, g_free);
        /* Who comes to an empty line comes first. */
        if (g_queue_is_empty(&b->line))
                g_hash_table_remove_all(b->turns);
        /* Later in this turn of the loop: who leaves may be in the middle of something. */
        (void) sd_event_source_set_enabled(b->look, SD_EVENT_ONESHOT);
}

int builds_new(Runtime *rt, Builds **ret) {
        Builds *b = g_new0(Builds, 1);
        int r;

        *b = (Builds){.runtime = rt, .line = G_QUEUE_INIT};
        b->turns = g_hash_table_new_full(NULL, NULL, NULL, g_free);
        r = sd_event_add_defer(rt->event, &b->look, on_look, b);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->look, SD_EVENT_OFF);
        if (r < 0) {
                builds_free(b);
                return r;
        }
        *ret = b;
        return 0;
}

/* The next daemon finds the jobs by their records, and what they were to do is nobody's. */
static void drop_line(Builds *b) {
        Job *j;

        while ((j = g_queue_pop_head(&b->line)))
                if (j->build->drop)
                        j->build->drop(j->build->userdata);
}

void builds_free(Builds *b) {
        if (!b)
                return;
        drop_line(b);
        sd_event_source_disable_unref(b->look);
        g_hash_table_unref(b->turns);
        g_free(b);
}
