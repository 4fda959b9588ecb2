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
