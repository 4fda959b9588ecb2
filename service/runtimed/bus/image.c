/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.Image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/message.h"
#include "core/image-check.h"

static int begin(sd_bus_message *m, Image *image, CallRun run, sd_bus_error *error) {
        Call *c = call_new(bus_of(image->runtime), m, "Image", NULL, NULL, run);

        call_set_image(c, image);
        return call_begin(c, error);
}

static int run_remove(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Image *image;
        int r;

        r = call_image(c, &image, error);
        if (r < 0)
                return r;
        if (image_remove(image, &problem) < 0)
                return bus_error_problem(error, problem);
        return sd_bus_reply_method_return(c->message, NULL);
}

static int method_remove(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        return begin(m, userdata, run_remove, error);
}

static int run_verify(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Image *image;
        Job *job;
        int r;

        r = call_image(c, &image, error);
        if (r < 0)
                return r;
        if (image_verify(image, c->uid, &job, &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

static int method_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, run_verify, error);
}

/* The image's own configuration, keyed as a VM's spec where there is a key for it. */
static int run_get_config(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Image *image;
        int r;

        r = call_image(c, &image, error);
        if (r < 0)
                return r;
        {
                const ImageConfig *config = image->config;
                const struct {
                        const char *name;
                        char **strings;
                        const char *string;
                } members[] = {{"Entrypoint", config->entrypoint, NULL}, {"Command", config->cmd, NULL},
                        {"Environment", config->env, NULL}, {"ExposedPorts", config->ports, NULL},
                        {"User", NULL, config->user}, {"WorkingDirectory", NULL, config->workdir},
                        {"StopSignal", NULL, config->stop_signal}};

                r = sd_bus_message_new_method_return(c->message, &reply);
                if (r >= 0)
                        r = sd_bus_message_open_container(reply, 'a', "{sv}");
                for (size_t i = 0; i < G_N_ELEMENTS(members) && r >= 0; i++) {
                        if (members[i].string) {
                                r = sd_bus_message_append(reply, "{sv}", members[i].name, "s", members[i].string);
                                continue;
                        }
                        r = sd_bus_message_open_container(reply, 'e', "sv");
                        if (r >= 0)
                                r = sd_bus_message_append(reply, "s", members[i].name);
                        if (r >= 0)
                                r = sd_bus_message_open_container(reply, 'v', "as");
                        if (r >= 0)
                                r = sd_bus_message_append_strv(reply, members[i].strings);
                        if (r >= 0)
                                r = sd_bus_message_close_container(reply);
                        if (r >= 0)
                                r = sd_bus_message_close_container(reply);
                }
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(c->bus->bus, reply, NULL);
}

static int method_get_config(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, run_get_config, error);
}

/* ---- Properties ---- */

BUS_GETTER(get_reference) {
        return sd_bus_message_append(reply, "s", image_reference(userdata));
}

BUS_GETTER(get_digest) {
        g_autofree char *digest = g_strconcat("sha256:", ((Image *) userdata)->hex, NULL);

        return sd_bus_message_append(reply, "s", digest);
}

BUS_GETTER(get_size) {
        return sd_bus_message_append(reply, "t", ((Image *) userdata)->size);
}

BUS_GETTER(get_architecture) {
        return sd_bus_message_append(reply, "s", ((Image *) userdata)->architecture);
}

BUS_GETTER(get_exposed_ports) {
        return sd_bus_message_append_strv(reply, ((Image *) userdata)->config->ports);
}

BUS_GETTER(get_created_at) {
        return sd_bus_message_append(reply, "t", ((Image *) userdata)->created_at);
}

BUS_GETTER(get_owner) {
        return sd_bus_message_append(reply, "u", ((Image *) userdata)->owner);
}

BUS_GETTER(get_used_by) {
        g_autoptr(GPtrArray) users = image_users(userdata);
        int r = sd_bus_message_open_container(reply, 'a', "o");

        for (guint i = 0; i < users->len && r >= 0; i++) {
                char *vm_path = bus_vm_path(((VM *) users->pdata[i])->name);

                r = sd_bus_message_append(reply, "o", vm_path);
                free(vm_path);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void append_digest(const char *key, const char *value, void *userdata) {
        (void) sd_bus_message_append(userdata, "{ss}", key, value);
}

BUS_GETTER(get_provenance) {
        int r = sd_bus_message_open_container(reply, 'a', "{ss}");

        if (r < 0)
                return r;
        image_provenance(userdata, append_digest, reply);
        return sd_bus_message_close_container(reply);
}

static gint by_text(gconstpointer a, gconstpointer b) {
        return strcmp(a, b);
}

BUS_GETTER(get_sources) {
        GHashTable *sources = ((Image *) userdata)->sources;
        GList *references = g_list_sort(g_hash_table_get_keys(sources), by_text);
        int r = sd_bus_message_open_container(reply, 'a', "{ss}");

        for (GList *l = references; l && r >= 0; l = l->next)
                r = sd_bus_message_append(reply, "{ss}", l->data, g_hash_table_lookup(sources, l->data));
        g_list_free(references);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable image_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS(
                "Remove", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_remove, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_NO_ARGS, SD_BUS_RESULT("u", job_id, "o", job), method_verify,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetConfig", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", config), method_get_config,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Reference", "s", get_reference, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Digest", "s", get_digest, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Size", "t", get_size, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Architecture", "s", get_architecture, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ExposedPorts", "as", get_exposed_ports, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("CreatedAt", "t", get_created_at, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Owner", "u", get_owner, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("UsedBy", "ao", get_used_by, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Sources", "a{ss}", get_sources, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Provenance", "a{ss}", get_provenance, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
