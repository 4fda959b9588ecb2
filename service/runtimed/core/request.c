/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the questions to monitors that wait for a reply. */
#include "core/request.h"

#include <errno.h>
#include <string.h>

#include "shared/log.h"

typedef struct Request {
        VMDone done;
        RequestAnswered answered; /* in its place */
        void *userdata;
        bool for_end; /* the VM's end is what was asked for */
        VM *vm;
        uint64_t id; /* the key */
        sd_event_source *timer;
} Request;

static void request_free(void *p) {
        Request *request = p;

        sd_event_source_disable_unref(request->timer);
        g_free(request);
}

static void answer(VM *vm, uint64_t id, json_t *reply, const Problem *problem) {
        gpointer value;
        Request *request;

        if (!vm->requests || !g_hash_table_steal_extended(vm->requests, &id, NULL, &value))
                return;
        request = value;
        if (request->for_end && problem && strcmp(problem->error, "VMNotRunning") == 0)
                problem = NULL;
        if (request->answered)
                request->answered(problem ? NULL : reply, problem, request->userdata);
        else
                request->done(problem, request->userdata);
        request_free(request);
}

/* Errors a monitor may give; its texts are its own words. */
static const char *known_error(const char *name) {
        static const char *const known[] = {
                "VMNotRunning", "NotSupported", "GuestNotResponding", "Busy", "InvalidSpec", "Timeout", "LimitExceeded"};

        for (size_t i = 0; i < G_N_ELEMENTS(known); i++)
                if (strcmp(known[i], name) == 0)
                        return known[i];
        return "GuestNotResponding";
}

void requests_reply(VM *vm, json_t *reply) {
        uint64_t id = (uint64_t) json_integer_value(json_object_get(reply, "id"));
        const char *error = json_string_value(json_object_get(reply, "error"));
        const char *text = json_string_value(json_object_get(reply, "message"));
        g_autoptr(Problem) problem = NULL;

        if (error)
                problem = problem_new(known_error(error), NULL, "%s", text ?: error);
        answer(vm, id, reply, problem);
}

void requests_fail(VM *vm, const char *error, const char *text) {
        g_autoptr(Problem) problem = problem_new(error, NULL, "%s", text);
        GHashTableIter iter;
        gpointer key;

        while (vm->requests) {
                g_hash_table_iter_init(&iter, vm->requests);
                if (!g_hash_table_iter_next(&iter, &key, NULL))
                        return;
                answer(vm, *(uint64_t *) key, NULL, problem);
        }
}

#define REQUESTS_MAX 64U
/* More than the ten seconds that the monitor gives QEMU for a command (monitor/qmp.h). */
#define REQUEST_USEC (15ULL * G_USEC_PER_SEC)

static int on_unanswered(sd_event_source *source, uint64_t usec, void *userdata) {
        Request *request = userdata;
        g_autoptr(Problem) problem = problem_new("GuestNotResponding", NULL,
                "the monitor of VM '%s' does not answer; Stop and Remove still work", request->vm->name);

        log_warning("%s: its monitor does not answer", request->vm->name);
        answer(request->vm, request->id, NULL, problem);
        return 0;
}

/* fd -1: none. */
static int send_request(VM *vm, json_t *message, int fd, Request wanted) {
        uint64_t id = ++vm->last_request;
        Request *request;
        int r;

        if (!vm->requests)
                vm->requests = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, request_free);
        if (g_hash_table_size(vm->requests) >= REQUESTS_MAX) {
                json_decref(message);
                return -EBUSY;
        }
        (void) json_object_set_new(message, "id", json_integer((json_int_t) id));
        r = fd < 0 ? helper_send(vm->monitor, message) : helper_send_fd(vm->monitor, message, fd);
        if (r < 0)
                return r;
        request = g_new(Request, 1);
        *request = wanted;
        request->vm = vm;
        request->id = id;
        (void) g_hash_table_insert(vm->requests, &request->id, request);
        (void) sd_event_add_time_relative(vm->runtime->event, &request->timer, CLOCK_MONOTONIC, REQUEST_USEC,
                G_USEC_PER_SEC, on_unanswered, request);
        return 0;
}

int request_send(VM *vm, json_t *message, VMDone done, void *userdata) {
        return send_request(vm, message, -1, (Request){.done = done, .userdata = userdata});
}

int request_send_fd(VM *vm, json_t *message, int fd, VMDone done, void *userdata) {
        return send_request(vm, message, fd, (Request){.done = done, .userdata = userdata});
}

int request_end(VM *vm, json_t *message, VMDone done, void *userdata) {
        return send_request(vm, message, -1, (Request){.done = done, .userdata = userdata, .for_end = true});
}

int request_ask(VM *vm, json_t *message, RequestAnswered answered, void *userdata) {
        return send_request(vm, message, -1, (Request){.answered = answered, .userdata = userdata});
}

int request_fail_state(VM *vm, const char *verb, Problem **ret_problem) {
        return problem_set(ret_problem, "VMNotRunning", NULL, "%s: VM '%s' is %s", verb, vm->name,
                vm_state_to_string(vm_state(vm)));
}
