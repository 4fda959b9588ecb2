/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.ImportState. */
#include <stdlib.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/import-state.h"

static int plan_state(Call *c, sd_bus_error *error) {
        call_add_action(c, "use-host-path");
        c->detail_path = g_strdup(c->request);
        return 0;
}

static int run_state(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (import_state(c->bus->runtime, c->uid, c->request, &job, &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

int manager_import_state(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "s", &path);
        if (r >= 0)
                r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        r = manager_check_path(userdata, path, error);
        if (r < 0)
                return r;
        c = call_new(userdata, m, "Manager", g_strdup(path), g_free, run_state);
        c->plan = plan_state;
        return call_begin(c, error);
}
