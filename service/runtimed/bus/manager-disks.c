/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Manager's methods about disks. */
#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/disk.h"

typedef struct Listing {
        Runtime *runtime;
        sd_bus_message *reply;
        int r;
} Listing;

static void list_disk(uint32_t owner, const char *name, uint64_t bytes, void *userdata) {
        Listing *l = userdata;
        VM *user = disk_user(l->runtime, owner, name);

        if (l->r >= 0)
                l->r = sd_bus_message_append(l->reply, "(sts)", name, bytes, user ? user->name : "");
}

static int run_list_disks(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Listing l = {.runtime = c->bus->runtime};
        int r;

        r = answer_list_new(c->message, "(sts)", &reply);
        if (r < 0)
                return r;
        l.reply = reply;
        disks_each(l.runtime, c->uid, list_disk, &l);
        return answer_list(reply, l.r);
}

int manager_list_disks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        return call_begin(call_new(userdata, m, "Manager", NULL, NULL, run_list_disks), error);
}

static int run_remove_disk(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;

        if (disk_remove(c->bus->runtime, c->uid, c->request, &problem) < 0)
                return bus_error_problem(error, problem);
        return sd_bus_reply_method_return(c->message, NULL);
}

int manager_remove_disk(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        return call_begin(call_new(userdata, m, "Manager", g_strdup(name), g_free, run_remove_disk), error);
}
