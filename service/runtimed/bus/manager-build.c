/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.BuildImage: the keys of a spec that are in what a guest boots from. */
#include <stdlib.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/image-build.h"

static const OptionKey build_options[] = {{"Target", "s"}, {"Command", "as"}, {"Environment", "as"}, {"Kernel", "s"},
        {"Network", "s"}, {"Address", "s"}, {}};

static void spec_free(void *spec) {
        vm_spec_free(spec);
}

static int run_build(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (image_build(c->bus->runtime, c->uid, c->request, &job, &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

int manager_parse_build(Bus *b, const char *reference, json_t *options, VMSpec **ret, sd_bus_error *error) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        int r;

        (void) json_object_set_new(options, "Image", json_string(reference));
        /* What is made here is in no network by itself. */
        if (!json_object_get(options, "Network"))
                (void) json_object_set_new(options, "Network", json_string(NETWORK_USER));
        r = vm_spec_parse(options, &b->runtime->limits, problems, ret);
        json_decref(options);
        return r < 0 ? bus_error_problem(error, problems->pdata[0]) : 0;
}

int manager_build_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *reference;
        VMSpec *spec = NULL;
        json_t *options;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "s", &reference);
        if (r >= 0)
                r = message_read_options(m, build_options, &options, error);
        if (r >= 0)
                r = manager_parse_build(b, reference, options, &spec, error);
        if (r < 0)
                return r;
        c = call_new(b, m, "Manager", spec, spec_free, run_build);
        c->detail_image = g_strdup(spec->image);
        return call_begin(c, error);
}
