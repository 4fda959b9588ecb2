/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the images: their records, names and users. */
#include "core/image.h"

#include <errno.h>
#include <string.h>

#include "core/image-check.h"
#include "core/image-private.h"
#include "core/nanos.h"
#include "core/users.h"
#include "core/vm.h"
#include "model/name.h"
#include "qemu/machine-table.h"
#include "shared/log.h"

void image_free(Image *i) {
        if (!i)
                return;
        image_check_free(i->check);
        g_free(i->config_digest);
        g_free(i->program);
        g_strfreev(i->layers);
        g_free(i->owner_name);
        g_free(i->hex);
        g_free(i->id);
        g_ptr_array_unref(i->references);
        g_free(i->root_hash);
        g_free(i->architecture);
        g_free(i->kind);
        image_config_free(i->config);
        g_hash_table_unref(i->sources);
        g_ptr_array_unref(i->builds);
        g_free(i);
}

static bool has_reference(const Image *i, const char *reference) {
        for (guint k = 0; k < i->references->len; k++)
                if (strcmp(i->references->pdata[k], reference) == 0)
                        return true;
        return false;
}

const char *image_reference(const Image *i) {
        return i->references->len > 0 ? i->references->pdata[0] : "";
}

/* "sha256:..." of itself or behind the name; NULL without. */
static const char *digest_of(const char *reference) {
        const char *at = strchr(reference, '@'), *digest = at ? at + 1 : reference;

        return g_str_has_prefix(digest, "sha256:") ? digest : NULL;
}

Image *image_find(Runtime *rt, uint32_t owner, const char *reference) {
        const char *digest = digest_of(reference);
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, rt->images);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                Image *i = value;

                if (i->owner != owner)
                        continue;
                if (has_reference(i, reference))
                        return i;
                if (digest && strcmp(digest + strlen("sha256:"), i->hex) == 0)
                        return i;
        }
        return NULL;
}

const char *image_architecture(const char *architecture) {
        const Machine *machine = machine_find(architecture);

        return machine ? machine->image : architecture;
}

int image_check_architecture(const Image *i, const VMSpec *spec, Problem **ret_problem) {
        if (strcmp(i->architecture, image_architecture(spec->architecture)) == 0)
                return 0;
        return problem_set(ret_problem, "InvalidSpec", "Architecture",
                "Architecture: the image %s is for %s, the VM is of %s; set Architecture to the image's, or import it "
                "with the option Architecture",
                spec->image, i->architecture, spec->architecture);
}

GPtrArray *image_users(Image *i) {
        GPtrArray *users = g_ptr_array_new();
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, i->runtime->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                VM *vm = value;

                if (vm->record && vm->record->owner == i->owner &&
                        g_str_has_prefix(vm->record->image_digest, "sha256:") &&
                        strcmp(vm->record->image_digest + strlen("sha256:"), i->hex) == 0)
                        g_ptr_array_add(users, vm);
        }
        return users;
}

int image_remove(Image *i, Problem **ret_problem) {
        Runtime *rt = i->runtime;
        g_autoptr(GPtrArray) users = image_users(i);
        int r;

        if (users->len > 0)
                return problem_set(ret_problem, "ImageInUse", NULL,
                        "image %s is used by %u VMs, among them '%s'; remove them first", image_reference(i),
                        users->len, ((VM *) users->pdata[0])->name);
        nanos_forget(i);
        r = store_image_remove(rt->store, i->owner, i->hex);
        if (r < 0)
                return problem_set(ret_problem, "NoSpace", NULL, "image %s could not be removed: %s",
                        image_reference(i), g_strerror(-r));
        rt->observer->image_removed(i, rt->observer_data);
        (void) g_hash_table_remove(rt->images, i->id);
        return 0;
}

void image_provenance(const Image *i, ImageProvenance each, void *userdata) {
        g_autofree char *digest = g_strconcat("sha256:", i->hex, NULL),
                        *root = g_strconcat("sha256:", i->root_hash, NULL);
        g_autofree char *layers = g_strjoinv(" ", i->layers);

        each("manifest", digest, userdata);
        if (*i->program)
                each("program", i->program, userdata);
        if (*i->config_digest)
                each("config", i->config_digest, userdata);
        if (*layers)
                each("layers", layers, userdata);
        each("root-image", root, userdata);
}

/* ---- Records ---- */

static json_t *sources_to_json(const Image *i) {
        json_t *sources = json_object();
        GHashTableIter iter;
        gpointer reference, digest;

        g_hash_table_iter_init(&iter, i->sources);
        while (g_hash_table_iter_next(&iter, &reference, &digest))
                (void) json_object_set_new(sources, reference, json_string(digest));
        return sources;
}

static void read_sources(Image *i, json_t *sources) {
        const char *reference;
        json_t *digest;

        json_object_foreach(
                sources, reference, digest) if (json_is_string(digest) && digest_is_valid(json_string_value(digest)))
                image_set_source(i, reference, json_string_value(digest));
}

static void changing(Image *i, const char *property) {
        if (g_hash_table_lookup(i->runtime->images, i->id) == i)
                i->runtime->observer->image_changing(i, property, i->runtime->observer_data);
}

/* Kept as long as the image has the reference. */
void image_set_source(Image *i, const char *reference, const char *digest) {
        if (!has_reference(i, reference) || g_strcmp0(g_hash_table_lookup(i->sources, reference), digest) == 0)
                return;
        changing(i, "Sources");
        (void) g_hash_table_replace(i->sources, g_strdup(reference), g_strdup(digest));
}

json_t *image_to_json(const Image *i) {
        json_t *references = json_array(), *layers = json_array();

        for (guint k = 0; k < i->references->len; k++)
                (void) json_array_append_new(references, json_string(i->references->pdata[k]));
        for (char **l = i->layers; l && *l; l++)
                (void) json_array_append_new(layers, json_string(*l));
        return json_pack("{s:i, s:o, s:s+, s:s, s:I, s:s, s:s, s:o, s:I, s:o, s:s, s:s, s:o, s:I, s:o, s:o, s:s}",
                "version", 1, "references", references, "digest", "sha256:", i->hex, "root_hash", i->root_hash, "size",
                (json_int_t) i->size, "architecture", i->architecture, "kind", i->kind, "config",
                image_config_to_json(i->config), "created_at", (json_int_t) i->created_at, "layers", layers,
                "config_digest", i->config_digest, "program", i->program, "stamp", stamp_to_json(&i->stamp),
                "archive_size", (json_int_t) i->archive_size, "sources", sources_to_json(i), "builds",
                image_builds_to_json(i), "owner_name", i->owner_name);
}

int image_save(const Image *i) {
        json_t *record = image_to_json(i);
        int r = store_image_save(i->runtime->store, i->owner, i->hex, record);

        json_decref(record);
        return r;
}

/* Digests that are digests; records of earlier versions have none. */
static void read_digests(Image *i, json_t *object) {
        const char *config = json_string_value(json_object_get(object, "config_digest")),
                   *program = json_string_value(json_object_get(object, "program"));
        g_autoptr(GPtrArray) layers = g_ptr_array_new();
        json_t *value;
        size_t index;

        json_array_foreach(json_object_get(object, "layers"), index, value) {
                const char *digest = json_string_value(value);

                if (digest && digest_is_valid(digest))
                        g_ptr_array_add(layers, g_strdup(digest));
        }
        g_ptr_array_add(layers, NULL);
        i->layers = (char **) g_ptr_array_free(g_steal_pointer(&layers), FALSE);
        i->config_digest = g_strdup(config && digest_is_valid(config) ? config : "");
        i->program = g_strdup(program && digest_is_valid(program) ? program : "");
        i->stamp = stamp_from_json(json_object_get(object, "stamp"));
}

int image_from_json(Runtime *rt, uint32_t owner, const char *hex, json_t *object, Image **ret) {
        const char *root_hash, *architecture, *kind, *owner_name = NULL;
        json_int_t size, created_at, archive_size = 0;
        json_t *sources = NULL, *references, *config, *value;
        size_t index;
        Image *i;

        if (json_unpack(object, "{s:o, s:s, s:I, s:s, s:s, s:o, s:I, s?I, s?o, s?s}", "references", &references,
                    "root_hash", &root_hash, "size", &size, "architecture", &architecture, "kind", &kind, "config",
                    &config, "created_at", &created_at, "archive_size", &archive_size, "sources", &sources,
                    "owner_name", &owner_name) < 0)
                return -EBADMSG;
        i = g_new0(Image, 1);
        *i = (Image){.runtime = rt, .owner = owner, .size = (uint64_t) size, .created_at = (uint64_t) created_at};
        i->archive_size = (uint64_t) MAX(archive_size, 0);
        i->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        i->owner_name = g_strdup(owner_name ?: users_name(rt->users, owner));
        i->hex = g_strdup(hex);
        i->id = g_strdup_printf("%u/%s", owner, hex);
        i->root_hash = g_strdup(root_hash);
        i->architecture = g_strdup(architecture);
        i->kind = g_strdup(kind);
        i->references = g_ptr_array_new_with_free_func(g_free);
        i->builds = g_ptr_array_new_with_free_func(image_build_free);
        image_builds_from_json(json_object_get(object, "builds"), i);
        json_array_foreach(references, index,
                value) if (json_is_string(value) && image_reference_is_valid(json_string_value(value)))
                g_ptr_array_add(i->references, g_strdup(json_string_value(value)));
        read_digests(i, object);
        read_sources(i, sources);
        if (image_config_parse(config, &i->config) < 0) {
                image_free(i);
                return -EBADMSG;
        }
        *ret = i;
        return 0;
}

static void load_image(uint32_t owner, const char *hex, const char *text, size_t len, void *userdata) {
        Runtime *rt = userdata;
        json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        g_autofree char *digest = g_strconcat("sha256:", hex, NULL);
        Image *i;

        if (!digest_is_valid(digest) || image_from_json(rt, owner, hex, object, &i) < 0) {
                log_warning("the record of image %u/%s is broken and was left out; import the image again", owner, hex);
                json_decref(object);
                return;
        }
        json_decref(object);
        if (i->archive_size == 0) /* it came and its record did not */
                store_image_drop_archive(rt->store, owner, hex);
        (void) g_hash_table_insert(rt->images, i->id, i);
        rt->observer->image_new(i, rt->observer_data);
}

void images_load(Runtime *rt) {
        (void) store_images_load(rt->store, load_image, rt);
}

/* ---- Names ---- */

/* The name moves to this image: a reference means the newest that was given it. */
int image_add_reference(Image *i, const char *reference) {
        Runtime *rt = i->runtime;
        Image *old = image_find(rt, i->owner, reference);
        int r;

        if (old == i || !*reference)
                return 0;
        if (g_hash_table_lookup(rt->images, i->id) == i)
                rt->observer->image_changing(i, "Reference", rt->observer_data);
        if (old) {
                rt->observer->image_changing(old, "Reference", rt->observer_data);
                for (guint k = 0; k < old->references->len; k++)
                        if (strcmp(old->references->pdata[k], reference) == 0)
                                g_ptr_array_remove_index(old->references, k--);
                changing(old, "Sources");
                (void) g_hash_table_remove(old->sources, reference);
                r = image_save(old);
                if (r < 0)
                        return r;
        }
        g_ptr_array_add(i->references, g_strdup(reference));
        return 0;
}
