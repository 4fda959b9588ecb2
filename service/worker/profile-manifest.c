/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses, checks and prints manifests of profiles. */
#include "worker/profile-manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TEXT_BYTES_MAX 256U /* of qemu_version and its like */

static void entry_free(void *p) {
        g_free(((profile_entry *) p)->path);
        g_free(p);
}

profile_manifest *profile_manifest_new(const char *profile) {
        profile_manifest *m = g_new0(profile_manifest, 1);

        m->name = g_strdup(profile);
        m->profile = g_strdup(profile);
        m->qemu_version = g_strdup("");
        m->build_date = g_strdup("");
        m->build_host = g_strdup("");
        m->arch = g_strdup("");
        m->entries = g_ptr_array_new_with_free_func(entry_free);
        return m;
}

void profile_manifest_free(profile_manifest *m) {
        if (!m)
                return;
        g_free(m->name);
        g_free(m->profile);
        g_free(m->qemu_version);
        g_free(m->build_date);
        g_free(m->build_host);
        g_free(m->arch);
        g_ptr_array_unref(m->entries);
        g_free(m);
}

void profile_manifest_add(profile_manifest *m, const char *path, const char *hash, bool executable) {
        profile_entry *e = g_new0(profile_entry, 1);

        e->path = g_strdup(path);
        g_strlcpy(e->hash, hash, sizeof e->hash);
        e->executable = executable;
        g_ptr_array_add(m->entries, e);
}

static int damaged(struct failure *f, const char *format, ...) G_GNUC_PRINTF(2, 3);
static int damaged(struct failure *f, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        g_autofree char *text = g_strdup_vprintf(format, ap);
        va_end(ap);
        return failf(f, -EBADMSG, FAILURE_PROFILE, "manifest: %s", text);
}

/* ---- Reading ---- */

static int read_text(const json_t *object, const char *key, char **value, struct failure *f) {
        const json_t *v = json_object_get(object, key);

        if (!v || json_is_null(v))
                return 0;
        if (!json_is_string(v) || json_string_length(v) > TEXT_BYTES_MAX ||
                strlen(json_string_value(v)) != json_string_length(v))
                return damaged(f, "%s is not a text of at most %u bytes", key, TEXT_BYTES_MAX);
        g_free(*value);
        *value = g_strdup(json_string_value(v));
        return 0;
}

/* RFC 3339 with any offset; what is newer is a matter of time, not of text. */
static int read_time(const json_t *object, uint64_t *ret, struct failure *f) {
        const char *text = json_string_value(json_object_get(object, "created_at"));
        g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
        g_autoptr(GDateTime) time = NULL;
        gint64 seconds;

        if (text && strlen(text) <= TEXT_BYTES_MAX)
                time = g_date_time_new_from_iso8601(text, utc);
        seconds = time ? g_date_time_to_unix(time) : -1;
        if (seconds < 0)
                return damaged(f, "created_at is %s%.64s%s; expected a time like \"2026-05-01T10:00:00Z\"",
                        text ? "\"" : "", text ?: "missing", text ? "\"" : "");
        *ret = (uint64_t) seconds * 1000000U + (uint64_t) g_date_time_get_microsecond(time);
        return 0;
}

static int read_bytes(const json_t *object, uint64_t *ret, struct failure *f) {
        const json_t *v = json_object_get(object, "total_bytes");

        if (!v || json_is_null(v))
                return 0;
        if (!json_is_integer(v) || json_integer_value(v) < 0)
                return damaged(f, "total_bytes is not a number of bytes");
        *ret = (uint64_t) json_integer_value(v);
        if (*ret > PROFILE_BYTES_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "manifest: total_bytes is %" PRIu64 ", the limit is %llu", *ret,
                        PROFILE_BYTES_MAX);
        return 0;
}

/* "0755" and so on, as text or number: of a mode only the owner's right to execute counts. */
static int read_mode(const json_t *modes, const char *path, bool *executable, struct failure *f) {
        const json_t *v = json_object_get(modes, path);
        guint64 mode = 0;

        *executable = profile_path_is_executable(path);
        if (!v)
                return 0;
        if (!json_is_string(v) || !g_ascii_string_to_unsigned(json_string_value(v), 8, 0, 07777, &mode, NULL))
                return damaged(f, "the mode of \"%s\" is not a text like \"0755\"", path);
        *executable = *executable || (mode & 0100);
        return 0;
}

static int read_objects(const json_t *object, profile_manifest *m, struct failure *f) {
        json_t *objects = json_object_get(object, "objects"), *value;
        const json_t *modes = json_object_get(object, "modes");
        const char *path;
        bool executable;
        int r;

        if (!json_is_object(objects) || (modes && !json_is_object(modes)))
                return damaged(f, "%s is not an object with a text for each path",
                        json_is_object(objects) ? "modes" : "objects");
        if (json_object_size(objects) > PROFILE_OBJECTS_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "manifest: it has %zu objects, the limit is %u",
                        json_object_size(objects), PROFILE_OBJECTS_MAX);
        json_object_foreach(objects, path, value) {
                const char *hash = json_string_value(value);

                if (!profile_path_is_valid(path))
                        return damaged(f, "the path \"%.200s\" is not " PROFILE_PATH_ACCEPTED, path);
                if (!hash || strlen(hash) != json_string_length(value) || !profile_hash_is_valid(hash))
                        return damaged(f, "the hash of \"%s\" is \"%.100s\"; expected " PROFILE_HASH_ACCEPTED, path,
                                hash ?: "no text");
                r = read_mode(modes, path, &executable, f);
                if (r < 0)
                        return r;
                profile_manifest_add(m, path, hash, executable);
        }
        return 0;
}

static int read_names(const json_t *object, profile_manifest *m, struct failure *f) {
        const struct {
                const char *key;
                char **value;
        } texts[] = {{"name", &m->name}, {"profile", &m->profile}, {"qemu_version", &m->qemu_version},
                {"build_date", &m->build_date}, {"build_host", &m->build_host}, {"arch", &m->arch}};
        int r = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(texts) && r >= 0; i++)
                r = read_text(object, texts[i].key, texts[i].value, f);
        if (r < 0)
                return r;
        if (!*m->profile) { /* an artifact of the store that says what it is by its name only */
                g_free(m->profile);
                m->profile = g_strdup(m->name);
        }
        return *m->profile ? 0 : damaged(f, "neither profile nor name is there");
}

int profile_manifest_parse(const char *text, size_t len, profile_manifest **ret, struct failure *f) {
        g_autoptr(profile_manifest) m = profile_manifest_new("");
        json_error_t error;
        json_t *object;
        int r;

        if (len > PROFILE_MANIFEST_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT, "manifest: it has %zu bytes, the limit is %u", len,
                        PROFILE_MANIFEST_MAX);
        object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
        if (!json_is_object(object)) {
                json_decref(object);
                return damaged(
                        f, "%s (line %d)", object ? "it is no JSON object" : error.text, object ? 1 : error.line);
        }
        r = read_names(object, m, f);
        if (r >= 0)
                r = read_time(object, &m->created_at, f);
        if (r >= 0)
                r = read_bytes(object, &m->total_bytes, f);
        if (r >= 0)
                r = read_objects(object, m, f);
        json_decref(object);
        if (r >= 0)
                r = profile_manifest_check(m, f);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&m);
        return 0;
}

/* ---- Checking ---- */

/* As if '/' came before every other byte: a directory's content follows the directory's own name at once. */
static gint by_path(gconstpointer a, gconstpointer b) {
        const unsigned char *p = (const unsigned char *) (*(profile_entry *const *) a)->path,
                            *q = (const unsigned char *) (*(profile_entry *const *) b)->path;

        while (*p && *p == *q) {
                p++;
                q++;
        }
        return (*p == '/' ? 1 : *p) - (*q == '/' ? 1 : *q);
}

static bool is_program(const profile_entry *e) {
        return g_str_has_prefix(e->path, "bin/" PROFILE_BINARY_PREFIX) && !strchr(e->path + strlen("bin/"), '/');
}

int profile_manifest_check(profile_manifest *m, struct failure *f) {
        unsigned programs = 0;

        g_ptr_array_sort(m->entries, by_path);
        for (guint i = 0; i < m->entries->len; i++) {
                const profile_entry *e = m->entries->pdata[i], *last = i > 0 ? m->entries->pdata[i - 1] : NULL;
                size_t n = last ? strlen(last->path) : 0;

                programs += is_program(e);
                if (!last || strncmp(last->path, e->path, n) != 0)
                        continue;
                if (!e->path[n])
                        return damaged(f, "the path \"%s\" is there twice", e->path);
                if (e->path[n] == '/')
                        return damaged(f, "the path \"%s\" is both a file and a directory", last->path);
        }
        if (programs == 0)
                return damaged(f, "the binaries are missing: no path is like \"bin/" PROFILE_BINARY_PREFIX "x86_64\"");
        if (programs > PROFILE_BINARIES_MAX)
                return failf(f, -E2BIG, FAILURE_LIMIT,
                        "manifest: it has %u programs bin/" PROFILE_BINARY_PREFIX "*, the limit is %u", programs,
                        PROFILE_BINARIES_MAX);
        return 0;
}

/* ---- Printing ---- */

static char *format_time(uint64_t usec) {
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc((gint64) (usec / 1000000U));
        g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");

        return g_strdup_printf("%s.%06uZ", seconds, (unsigned) (usec % 1000000U));
}

char *profile_manifest_print(const profile_manifest *m) {
        g_autofree char *created = format_time(m->created_at);
        json_t *objects = json_object(), *modes = json_object(), *o;
        char *text;

        for (guint i = 0; i < m->entries->len; i++) {
                const profile_entry *e = m->entries->pdata[i];

                (void) json_object_set_new(objects, e->path, json_string(e->hash));
                (void) json_object_set_new(modes, e->path, json_string(e->executable ? "0755" : "0644"));
        }
        o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "name", m->name, "profile", m->profile,
                "created_at", created, "qemu_version", m->qemu_version, "build_date", m->build_date, "build_host",
                m->build_host, "arch", m->arch, "total_bytes", (json_int_t) m->total_bytes, "objects", objects, "modes",
                modes);
        text = o ? json_dumps(o, JSON_INDENT(2) | JSON_SORT_KEYS) : NULL;
        json_decref(o);
        return text;
}

json_t *profile_manifest_summary(const profile_manifest *m) {
        static const char *const folders[] = {"bin/", "lib/", "firmware/"};
        json_t *programs = json_array();
        const char *loader = "";
        unsigned counts[3] = {};
        bool modules = false;

        for (guint i = 0; i < m->entries->len; i++) {
                const profile_entry *e = m->entries->pdata[i];

                for (size_t k = 0; k < G_N_ELEMENTS(folders); k++)
                        counts[k] += g_str_has_prefix(e->path, folders[k]);
                modules = modules || g_str_has_prefix(e->path, "lib/qemu/");
                if (is_program(e))
                        (void) json_array_append_new(programs, json_string(e->path + strlen("bin/")));
                if (profile_path_is_loader(e->path))
                        loader = e->path;
        }
        return json_pack("{s:s, s:I, s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:b, s:o, s:s}", "profile", m->profile,
                "created_at", (json_int_t) m->created_at, "qemu_version", m->qemu_version, "arch", m->arch, "bytes",
                (json_int_t) m->total_bytes, "objects", (int) m->entries->len, "binaries", (int) counts[0], "libraries",
                (int) counts[1], "firmware", (int) counts[2], "modules", (int) modules, "programs", programs, "loader",
                loader);
}
