/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image config: what the program of an image wants to be started with. */
#include <errno.h>
#include <string.h>

#include "worker/oci-json-private.h"

#define DOCUMENT "image config"

void oci_config_free(oci_config *c) {
        if (!c)
                return;
        g_free(c->os);
        g_free(c->architecture);
        g_clear_pointer(&c->diff_ids, g_ptr_array_unref);
        json_decref(c->run);
        g_free(c);
}

/* Copies config.KEY, an array of strings, to run.OUT. */
static int copy_texts(const json_t *config, const char *key, json_t *run, const char *out, struct failure *f) {
        json_t *array, *item, *copy;
        size_t i;
        int r;

        r = oci_get(config, DOCUMENT, key, JSON_ARRAY, false, &array, f);
        if (r < 0)
                return r;
        copy = json_array();
        json_array_foreach(array, i, item) {
                if (!json_is_string(item)) {
                        json_decref(copy);
                        return oci_bad(f, DOCUMENT, key, "must be an array of strings");
                }
                json_array_append(copy, item);
        }
        return json_object_set_new(run, out, copy);
}

static int copy_text(const json_t *config, const char *key, json_t *run, const char *out, struct failure *f) {
        json_t *text;
        int r = oci_get(config, DOCUMENT, key, JSON_STRING, false, &text, f);

        if (r < 0)
                return r;
        return json_object_set_new(run, out, json_string(text ? json_string_value(text) : ""));
}

static int compare_texts(gconstpointer a, gconstpointer b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* {"80/tcp":{}} becomes ["80/tcp"], sorted: a set has no order of its own. */
static int copy_ports(const json_t *config, json_t *run, struct failure *f) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();
        json_t *ports, *value, *array;
        const char *key;
        int r;

        r = oci_get(config, DOCUMENT, "ExposedPorts", JSON_OBJECT, false, &ports, f);
        if (r < 0)
                return r;
        json_object_foreach(ports, key, value) g_ptr_array_add(names, (gpointer) key);
        g_ptr_array_sort(names, compare_texts);
        array = json_array();
        for (guint i = 0; i < names->len; i++)
                json_array_append_new(array, json_string(g_ptr_array_index(names, i)));
        return json_object_set_new(run, "ports", array);
}

static int copy_labels(const json_t *config, json_t *run, struct failure *f) {
        json_t *labels, *value;
        const char *key;
        int r;

        r = oci_get(config, DOCUMENT, "Labels", JSON_OBJECT, false, &labels, f);
        if (r < 0 || !labels)
                return r;
        json_object_foreach(labels, key, value) if (!json_is_string(value)) return oci_bad(
                f, DOCUMENT, "Labels", "must hold strings");
        return json_object_set(run, "labels", labels);
}

static int make_run(const json_t *config, json_t *run, struct failure *f) {
        int r;

        r = copy_texts(config, "Entrypoint", run, "entrypoint", f);
        if (r >= 0)
                r = copy_texts(config, "Cmd", run, "cmd", f);
        if (r >= 0)
                r = copy_texts(config, "Env", run, "env", f);
        if (r >= 0)
                r = copy_text(config, "User", run, "user", f);
        if (r >= 0)
                r = copy_text(config, "WorkingDir", run, "workdir", f);
        if (r >= 0)
                r = copy_text(config, "StopSignal", run, "stop_signal", f);
        if (r >= 0)
                r = copy_ports(config, run, f);
        if (r >= 0)
                r = copy_labels(config, run, f);
        return r;
}

/* What does not fit into the answer is refused, but labels are only decoration. */
static int check_size(json_t *run, struct failure *f) {
        if (json_dumpb(run, NULL, 0, JSON_COMPACT) > OCI_CONFIG_BYTES_MAX)
                (void) json_object_del(run, "labels");
        if (json_dumpb(run, NULL, 0, JSON_COMPACT) > OCI_CONFIG_BYTES_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "arguments, environment and ports of the image config need more than %u "
                        "bytes",
                        OCI_CONFIG_BYTES_MAX);
        return 0;
}

int oci_config_parse(const char *text, size_t len, oci_config **ret, struct failure *f) {
        g_autoptr(oci_config) c = g_new0(oci_config, 1);
        json_t *root = NULL, *config, *rootfs;
        int r;

        r = oci_load(text, len, DOCUMENT, &root, f);
        if (r < 0)
                return r;
        c->run = json_object();
        c->diff_ids = g_ptr_array_new_with_free_func(g_free);
        r = json_is_object(root) ? 0 : oci_bad(f, DOCUMENT, "document", "must be an object");
        if (r >= 0)
                r = oci_get_text(root, DOCUMENT, "os", &c->os, f);
        if (r >= 0)
                r = oci_get_text(root, DOCUMENT, "architecture", &c->architecture, f);
        if (r >= 0)
                r = oci_get(root, DOCUMENT, "rootfs", JSON_OBJECT, false, &rootfs, f);
        if (r >= 0 && rootfs)
                r = oci_get_texts(rootfs, DOCUMENT, "diff_ids", false, c->diff_ids, f);
        if (r >= 0)
                r = oci_get(root, DOCUMENT, "config", JSON_OBJECT, false, &config, f);
        if (r >= 0)
                r = make_run(config, c->run, f);
        if (r >= 0)
                r = check_size(c->run, f);
        json_decref(root);
        if (r >= 0)
                *ret = g_steal_pointer(&c);
        return r;
}
