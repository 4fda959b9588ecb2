/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sends the answers that handlers have in common. */
#include "bus/answer.h"

#include <stdlib.h>

int answer_job(Call *c, const Job *job) {
        char *path;
        int r;

        bus_watch_job(c->bus, job, c->message);
        path = bus_job_path(job);
        r = sd_bus_reply_method_return(c->message, "uo", job->id, path);
        free(path);
        return r;
}

int answer_list_new(sd_bus_message *m, const char *types, sd_bus_message **ret) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', types);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&reply);
        return 0;
}

int answer_list(sd_bus_message *reply, int r) {
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

void answer_problem(sd_bus_message *m, const Problem *problem) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;

        (void) bus_error_problem(&error, problem);
        (void) sd_bus_reply_method_error(m, &error);
}

void answer_done(const Problem *problem, void *userdata) {
        sd_bus_message *m = userdata;

        if (problem)
                answer_problem(m, problem);
        else
                (void) sd_bus_reply_method_return(m, NULL);
        sd_bus_message_unref(m);
}
