/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Manager's methods about images. */
#include "bus/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/message.h"
#include "core/image-clean.h"
#include "model/mount.h"
#include "model/name.h"
#include "model/spec-payload.h"
#include "shared/fd.h"

typedef struct ImageRequest {
        char *reference, *path;
        const char *architecture; /* static, NULL: the host's */
        int source;
} ImageRequest;

static void image_request_free(void *p) {
        ImageRequest *q = p;

        g_free(q->reference);
        g_free(q->path);
        (void) close_fd(q->source);
        g_free(q);
}

static int check_reference(const char *reference, sd_bus_error *error) {
        if (image_reference_is_valid(reference) && !digest_is_valid(reference)) /* no name may look like a digest */
                return 0;
        {
                g_autofree char *shown = problem_quote(reference);

                return bus_error_named(error, "InvalidName",
                        "%s is no image reference; expected [registry/]name[:tag], like 'web:1'", shown);
        }
}

static const OptionKey import_options[] = {{"Architecture", "s"}, {}};

int manager_check_architecture(
        Runtime *rt, const char *architecture, const char **ret_architecture, sd_bus_error *error) {
        const char *const *known = rt->limits.architectures;

        *ret_architecture = NULL;
        if (architecture && g_strv_contains(known, architecture))
                *ret_architecture = image_architecture(architecture);
        else if (architecture) {
                g_autofree char *list = g_strjoinv(", ", (char **) known), *shown = problem_quote(architecture);

                return bus_error_named(error, "InvalidSpec", "Architecture: %s is none of %s", shown, list);
        }
        return 0;
}

static int read_architecture(sd_bus_message *m, Runtime *rt, const char **ret_architecture, sd_bus_error *error) {
        json_t *options;
        int r;

        r = message_read_options(m, import_options, &options, error);
        if (r < 0)
                return r;
        r = manager_check_architecture(
                rt, json_string_value(json_object_get(options, "Architecture")), ret_architecture, error);
        json_decref(options);
        return r;
}

static int run_import(Call *c, sd_bus_error *error) {
        ImageRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (image_import(c->bus->runtime, c->uid, q->reference, q->architecture, take_fd(&q->source), q->path, &job,
                    &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

int manager_import_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *reference, *architecture;
        ImageRequest *q;
        int fd, r;
        Bus *b = userdata;
        Call *c;

        r = sd_bus_message_read(m, "sh", &reference, &fd);
        if (r < 0)
                return r;
        r = read_architecture(m, b->runtime, &architecture, error);
        if (r < 0)
                return r;
        r = check_reference(reference, error);
        if (r < 0)
                return r;
        if (!descriptor_can_be_read(fd))
                return bus_error_named(error, "UnsupportedImage",
                        "the descriptor must be a regular file, a pipe or a socket that can be read");
        q = g_new(ImageRequest, 1);
        *q = (ImageRequest){.reference = g_strdup(reference),
                .architecture = architecture,
                .source = fcntl(fd, F_DUPFD_CLOEXEC, 3)};
        if (q->source < 0) {
                image_request_free(q);
                return -errno;
        }
        c = call_new(b, m, "Manager", q, image_request_free, run_import);
        c->detail_image = g_strdup(q->reference);
        return call_begin(c, error);
}

static int plan_import_file(Call *c, sd_bus_error *error) {
        ImageRequest *q = c->request;

        call_add_action(c, "use-host-path");
        c->detail_path = g_strdup(q->path);
        c->detail_image = g_strdup(q->reference);
        return 0;
}

int manager_check_path(const Bus *b, const char *path, sd_bus_error *error) {
        g_autofree char *roots = NULL;

        if (host_path_is_plain(path) && host_path_is_below(path, b->runtime->limits.volume_roots))
                return 0;
        roots = g_strjoinv(", ", b->runtime->config->volume_roots);
        return bus_error_named(error, "InvalidSpec",
                "path: expected an absolute path without '..' and control characters, below one of: %s "
                "(VolumeRoots= in runtime.conf)",
                roots);
}

int manager_import_image_file(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *reference, *path, *architecture;
        ImageRequest *q;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "ss", &reference, &path);
        if (r < 0)
                return r;
        r = read_architecture(m, b->runtime, &architecture, error);
        if (r < 0)
                return r;
        r = check_reference(reference, error);
        if (r < 0)
                return r;
        r = manager_check_path(b, path, error);
        if (r < 0)
                return r;
        q = g_new(ImageRequest, 1);
        *q = (ImageRequest){
                .reference = g_strdup(reference), .path = g_strdup(path), .architecture = architecture, .source = -1};
        c = call_new(b, m, "Manager", q, image_request_free, run_import);
        c->plan = plan_import_file;
        return call_begin(c, error);
}

static int run_image_exists(Call *c, sd_bus_error *error) {
        ImageRequest *q = c->request;

        return sd_bus_reply_method_return(
                c->message, "b", (int) (image_find(c->bus->runtime, c->uid, q->reference) != NULL));
}

static int run_get_image(Call *c, sd_bus_error *error) {
        ImageRequest *q = c->request;
        Image *image = image_find(c->bus->runtime, c->uid, q->reference);
        char *path;
        int r;

        if (!image) {
                g_autofree char *shown = problem_quote(q->reference);

                return bus_error_named(error, "NoSuchImage", "you have no image %s", shown);
        }
        path = bus_image_path(image);
        r = sd_bus_reply_method_return(c->message, "o", path);
        free(path);
        return r;
}

static int begin_reference(sd_bus_message *m, Bus *b, CallRun run, sd_bus_error *error) {
        const char *reference;
        ImageRequest *q;
        int r;

        r = sd_bus_message_read(m, "s", &reference);
        if (r < 0)
                return r;
        q = g_new(ImageRequest, 1);
        *q = (ImageRequest){.reference = g_strdup(reference), .source = -1};
        return call_begin(call_new(b, m, "Manager", q, image_request_free, run), error);
}

int manager_image_exists(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin_reference(m, userdata, run_image_exists, error);
}

int manager_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin_reference(m, userdata, run_get_image, error);
}

static int run_list_images(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        GHashTableIter iter;
        gpointer value;
        int r;

        r = answer_list_new(c->message, "(ssto)", &reply);
        g_hash_table_iter_init(&iter, c->bus->runtime->images);
        while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &value)) {
                Image *i = value;
                g_autofree char *digest = g_strconcat("sha256:", i->hex, NULL);
                char *path;

                if (i->owner != c->uid)
                        continue;
                path = bus_image_path(i);
                r = sd_bus_message_append(reply, "(ssto)", image_reference(i), digest, i->size, path);
                free(path);
        }
        return answer_list(reply, r);
}

int manager_list_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        return call_begin(call_new(userdata, m, "Manager", NULL, NULL, run_list_images), error);
}

/* ---- CleanImages ---- */

typedef struct CleanRequest {
        uint32_t owner;
        bool has_owner, all, unnamed;
} CleanRequest;

static int plan_clean(Call *c, sd_bus_error *error) {
        CleanRequest *q = c->request;

        if (!q->has_owner)
                q->owner = c->uid;
        if (q->all || q->owner != c->uid)
                call_add_action(c, "manage-service");
        return 0;
}

static void on_cleaned(uint64_t bytes, uint32_t count, void *userdata) {
        sd_bus_message *call = userdata;

        (void) sd_bus_reply_method_return(call, "tu", bytes, count);
        sd_bus_message_unref(call);
}

static int run_clean(Call *c, sd_bus_error *error) {
        const CleanRequest *q = c->request;

        clean_images(c->bus->runtime, q->owner, q->all, q->unnamed, on_cleaned, sd_bus_message_ref(c->message));
        return 0;
}

int manager_clean_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const OptionKey keys[] = {{"Owner", "u"}, {"All", "b"}, {"Unnamed", "b"}, {}};
        json_t *options, *owner;
        CleanRequest *q;
        Call *c;
        int r;

        r = message_read_options(m, keys, &options, error);
        if (r < 0)
                return r;
        owner = json_object_get(options, "Owner");
        q = g_new(CleanRequest, 1);
        *q = (CleanRequest){.owner = (uint32_t) json_integer_value(owner),
                .has_owner = owner,
                .all = json_is_true(json_object_get(options, "All")),
                .unnamed = json_is_true(json_object_get(options, "Unnamed"))};
        json_decref(options);
        if (q->has_owner && q->all) {
                g_free(q);
                return bus_error_named(error, "InvalidSpec", "Owner and All: expected one of them, or none");
        }
        c = call_new(userdata, m, "Manager", q, g_free, run_clean);
        c->plan = plan_clean;
        return call_begin(c, error);
}
