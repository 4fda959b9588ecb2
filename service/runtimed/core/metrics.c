/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the questions for metrics, and what is remembered of their answers. */
#include "core/metrics.h"

#include <string.h>

#include "core/network.h"
#include "core/request.h"
#include "shared/fd.h"

const MetricName metric_names[METRICS_MAX] = {
        [METRIC_CPU] = {"CPUUsec", "cpu"},
        [METRIC_MEMORY] = {"MemoryResident", "memory"},
        [METRIC_DISK_READ] = {"DiskReadBytes", "disk_read"},
        [METRIC_DISK_WRITTEN] = {"DiskWrittenBytes", "disk_written"},
        [METRIC_NET_RECEIVED] = {"NetworkReceivedBytes", "received"},
        [METRIC_NET_SENT] = {"NetworkSentBytes", "sent"},
};

typedef struct Query {
        Runtime *runtime;
        GPtrArray *names;
        sd_event_source *timer;
        MetricsDone done;
        void *userdata;
} Query;

void metrics_query_free(void *p) {
        Query *q = p;

        sd_event_source_disable_unref(q->timer);
        g_ptr_array_unref(q->names);
        g_free(q);
}

static void finish(Query *q) {
        q->done(q->names, q->userdata);
        (void) g_ptr_array_remove_fast(q->runtime->metrics, q);
}

static bool is_waiting(const Query *q) {
        for (guint i = 0; i < q->names->len; i++) {
                VM *vm = runtime_find_vm(q->runtime, q->names->pdata[i]);

                if (vm && (vm->metrics.asked || vm->metrics.traffic_asked))
                        return true;
        }
        return false;
}

static void finish_those_answered(Runtime *rt) {
        for (guint i = rt->metrics->len; i > 0; i--)
                if (!is_waiting(rt->metrics->pdata[i - 1]))
                        finish(rt->metrics->pdata[i - 1]);
}

static void set(Metrics *m, Metric metric, uint64_t value) {
        m->known[metric] = true;
        m->value[metric] = value;
}

void metrics_are(VM *vm, json_t *message) {
        for (Metric i = 0; i < METRICS_MAX; i++) {
                json_t *value = json_object_get(message, metric_names[i].answer);

                if (json_is_integer(value) && json_integer_value(value) >= 0)
                        set(&vm->metrics, i, (uint64_t) json_integer_value(value));
        }
}

void metrics_of_traffic(VM *vm, json_t *message) {
        if (!vm->metrics.traffic_asked)
                return;
        vm->metrics.traffic_asked = false;
        metrics_are(vm, message);
        finish_those_answered(vm->runtime);
}

void metrics_of_port(VM *vm, const struct netd_traffic *traffic) {
        if (!vm->metrics.traffic_asked)
                return;
        vm->metrics.traffic_asked = false;
        if (traffic) {
                set(&vm->metrics, METRIC_NET_RECEIVED, traffic->received);
                set(&vm->metrics, METRIC_NET_SENT, traffic->sent);
        }
        finish_those_answered(vm->runtime);
}

/* Its VM is there: a request ends with the VM it was made to. */
static void on_answer(json_t *reply, const Problem *problem, void *userdata) {
        VM *vm = userdata;

        if (vm->metrics.asked) {
                vm->metrics.asked = 0;
                if (reply) {
                        vm->metrics.at = now_monotonic();
                        metrics_are(vm, reply);
                }
        }
        finish_those_answered(vm->runtime);
}

static void ask_vm(VM *vm) {
        uint64_t now = now_monotonic();

        if (vm->metrics.asked || !vm_state_has_guest(vm_state(vm)) || !vm->monitor ||
                !helper_is_connected(vm->monitor) || (vm->metrics.at && now - vm->metrics.at < METRICS_FRESH_USEC))
                return;
        if (request_ask(vm, json_pack("{s:s}", "type", "usage"), on_answer, vm) >= 0) {
                vm->metrics.asked = now;
                /* Who counts the frames: mcp-passt, or the host's kernel those of a TAP. */
                vm->metrics.traffic_asked =
                        network_ask_traffic(vm) ||
                        (vm->passt && helper_is_connected(vm->passt) &&
                                helper_send(vm->passt, json_pack("{s:s}", "type", "usage")) >= 0);
        }
}

/* Whoever has not answered is asked anew the next time; its answer, when it comes, still counts. */
static int on_late(sd_event_source *source, uint64_t usec, void *userdata) {
        Query *q = userdata;

        for (guint i = 0; i < q->names->len; i++) {
                VM *vm = runtime_find_vm(q->runtime, q->names->pdata[i]);

                if (vm && vm->metrics.asked && now_monotonic() - vm->metrics.asked >= METRICS_WAIT_USEC)
                        vm->metrics.traffic_asked = false;
        }
        finish(q);
        return 0;
}

int metrics_ask(Runtime *rt, GPtrArray *names, MetricsDone done, void *userdata, Problem **ret_problem) {
        Query *q;
        int r;

        if (rt->metrics->len >= METRICS_QUERIES_MAX) {
                g_ptr_array_unref(names);
                return problem_set(ret_problem, "Busy", NULL, "%u questions for metrics are under way, the limit is %u",
                        rt->metrics->len, METRICS_QUERIES_MAX);
        }
        q = g_new0(Query, 1);
        *q = (Query){.runtime = rt, .names = names, .done = done, .userdata = userdata};
        g_ptr_array_add(rt->metrics, q);
        for (guint i = 0; i < names->len; i++) {
                VM *vm = runtime_find_vm(rt, names->pdata[i]);

                if (vm)
                        ask_vm(vm);
        }
        r = is_waiting(q) ? sd_event_add_time_relative(
                                    rt->event, &q->timer, CLOCK_MONOTONIC, METRICS_WAIT_USEC, 0, on_late, q)
                          : -ECANCELED;
        if (r < 0)
                finish(q);
        return 0;
}

void metrics_forget(VM *vm) {
        vm->metrics = (Metrics){};
}
