/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the profiles: which manifest serves each, and what they say of themselves. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/profile-private.h"
#include "qemu/machine-table.h"
#include "shared/log.h"

#define FACT "profiles.json"

void profile_ref_free(ProfileRef *ref) {
        if (!ref)
                return;
        g_free(ref->file);
        g_free(ref->id);
        g_free(ref->error);
        g_free(ref->version);
        g_free(ref->loader);
        g_free(ref->source);
        g_strfreev(ref->programs);
        g_free(ref);
}

struct Profiles *profiles_new(Runtime *rt) {
        struct Profiles *ps = g_new0(struct Profiles, 1);
        int r;

        ps->runtime = rt;
        ps->refs = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) profile_ref_free);
        ps->host_versions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        ps->busy = g_ptr_array_new();
        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                ps->all[id] = (Profile){
                        .runtime = rt, .id = id, .name = profile_to_string(id), .found_version = g_strdup("")};
        {
                g_autofree char *inside = g_build_filename(rt->config->state_directory, "profiles", NULL);
                const char *path = *rt->config->profile_directory ? rt->config->profile_directory : inside;

                r = profile_store_open(path, &ps->store);
                if (r < 0) {
                        ps->why = g_strdup_printf("%s: %s (ProfileDirectory= in runtime.conf)", path, g_strerror(-r));
                        log_warning("profiles are the host's QEMU only: %s", ps->why);
                }
        }
        return ps;
}

void profiles_free(struct Profiles *ps) {
        if (!ps)
                return;
        profiles_clean_free(ps->clean);
        profile_scan_free(ps->scan);
        qemu_versions_free(ps->versions);
        for (ProfileId id = 0; id < PROFILE_MAX; id++) {
                (void) assembling_free(ps->all[id].assembling);
                g_free(ps->all[id].assembled);
                g_free(ps->all[id].found_version);
        }
        g_ptr_array_unref(ps->busy);
        g_hash_table_unref(ps->refs);
        g_hash_table_unref(ps->host_versions);
        (void) profile_store_free(ps->store);
        g_free(ps->why);
        g_free(ps);
}

Profile *profile_get(Runtime *rt, ProfileId id) {
        return &rt->profiles->all[id];
}

Profile *profile_find(Runtime *rt, const char *name) {
        ProfileId id = profile_from_string(name);

        return id == PROFILE_INVALID ? NULL : profile_get(rt, id);
}

void profile_changing(Profile *p, const char *property) {
        p->runtime->observer->profile_changing(p, property, p->runtime->observer_data);
}

void profile_changing_all(Profile *p) {
        static const char *const properties[] = {
                "Digest", "Source", "Assembled", "QEMUVersion", "Binaries", "Libraries", "Firmware"};

        for (size_t i = 0; i < G_N_ELEMENTS(properties); i++)
                profile_changing(p, properties[i]);
}

int profiles_need_store(struct Profiles *ps, Problem **ret_problem) {
        if (ps->clean)
                return problem_set(
                        ret_problem, "Busy", NULL, "the store of profiles is cleaned up at the moment; try again");
        return ps->store ? 0
                         : problem_set(ret_problem, "NotSupported", NULL, "there is no store of profiles: %s", ps->why);
}

const char *profile_error_of(int r) {
        return r == -ENOSPC || r == -EDQUOT ? "NoSpace" : r == -EROFS || r == -EACCES ? "NotSupported" : "BuildFailed";
}

/* ---- Manifests ---- */

static bool read_count(const json_t *told, const char *key, json_int_t max, json_int_t *ret) {
        const json_t *v = json_object_get(told, key);

        *ret = json_integer_value(v);
        return json_is_integer(v) && *ret >= 0 && *ret <= max;
}

static char **read_programs(const json_t *told) {
        json_t *list = json_object_get(told, "programs"), *value;
        size_t n = json_array_size(list), i;
        char **programs = g_new0(char *, n + 1);

        if (n == 0 || n > PROFILE_BINARIES_MAX) {
                g_free(programs);
                return NULL;
        }
        json_array_foreach(list, i, value) {
                const char *s = json_string_value(value);

                if (!s || !g_str_has_prefix(s, PROFILE_BINARY_PREFIX) || strchr(s, '/') || !profile_path_is_valid(s)) {
                        g_strfreev(programs);
                        return NULL;
                }
                programs[i] = g_strdup(s);
        }
        return programs;
}

static const char *text_of(const json_t *told, const char *key) {
        return json_string_value(json_object_get(told, key)) ?: "";
}

/* What a good one says; false where the worker's words are none. */
static bool read_summary(ProfileRef *ref, const json_t *told) {
        const char *digest = text_of(told, "digest"), *loader = text_of(told, "loader");
        json_int_t created, binaries, libraries, firmware, bytes;

        if (!profile_hash_is_valid(digest) ||
                (*loader && (!profile_path_is_valid(loader) || !profile_path_is_loader(loader))) ||
                !read_count(told, "created_at", INT64_MAX, &created) || !read_count(told, "bytes", INT64_MAX, &bytes) ||
                !read_count(told, "binaries", PROFILE_OBJECTS_MAX, &binaries) ||
                !read_count(told, "libraries", PROFILE_OBJECTS_MAX, &libraries) ||
                !read_count(told, "firmware", PROFILE_OBJECTS_MAX, &firmware))
                return false;
        ref->programs = read_programs(told);
        if (!ref->programs)
                return false;
        ref->profile = profile_from_string(text_of(told, "profile"));
        ref->created_at = (uint64_t) created;
        ref->bytes = (uint64_t) bytes;
        ref->binaries = (uint32_t) binaries;
        ref->libraries = (uint32_t) libraries;
        ref->firmware = (uint32_t) firmware;
        ref->modules = json_is_true(json_object_get(told, "modules"));
        g_strlcpy(ref->digest, digest, sizeof ref->digest);
        ref->version = plain_text(text_of(told, "qemu_version"), 128);
        ref->loader = g_strdup(loader);
        return true;
}

int profile_ref_parse(const char *file, const char *id, const json_t *told, ProfileRef **ret) {
        ProfileRef *ref = g_new0(ProfileRef, 1);
        const char *message = json_string_value(json_object_get(told, "message"));

        ref->file = g_strdup(file);
        ref->id = g_strdup(id);
        ref->profile = PROFILE_INVALID;
        if (json_object_get(told, "error"))
                ref->error = plain_text(message ?: "unknown", JOB_LOG_TEXT_MAX);
        else if (!read_summary(ref, told)) {
                profile_ref_free(ref);
                return -EBADMSG;
        } else if (ref->profile == PROFILE_INVALID || !profile_ref_is_of(file, profile_to_string(ref->profile))) {
                g_autofree char *name = plain_text(text_of(told, "profile"), 64);

                ref->error =
                        g_strdup_printf("manifest: it is of profile '%s', which its file's name does not say", name);
        }
        *ret = ref;
        return 0;
}

void profiles_add_ref(struct Profiles *ps, ProfileRef *ref) {
        for (ProfileId id = 0; id < PROFILE_MAX; id++)
                if (ps->all[id].ref && strcmp(ps->all[id].ref->file, ref->file) == 0) {
                        profile_changing_all(&ps->all[id]);
                        ps->all[id].ref = NULL;
                }
        if (ref->error)
                log_warning("manifest %s was left out: %s", ref->file, ref->error);
        (void) g_hash_table_replace(ps->refs, ref->file, ref);
}

/* Of two made at the same time, the one whose digest is greater: any rule will do that is always the same. */
static bool is_newer(const ProfileRef *a, const ProfileRef *b) {
        return !b || a->created_at > b->created_at ||
               (a->created_at == b->created_at && strcmp(a->digest, b->digest) > 0);
}

static ProfileRef *newest_ref(struct Profiles *ps, ProfileId id) {
        ProfileRef *best = NULL;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, ps->refs);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                ProfileRef *ref = value;

                if (!ref->error && ref->profile == id && is_newer(ref, best))
                        best = ref;
        }
        return best;
}

void profiles_choose(struct Profiles *ps) {
        for (ProfileId id = 0; id < PROFILE_MAX; id++) {
                Profile *p = &ps->all[id];
                ProfileRef *ref = newest_ref(ps, id);

                if (ref == p->ref)
                        continue;
                profile_changing_all(p);
                p->ref = ref;
                g_free(p->found_version);
                p->found_version = g_strdup("");
        }
}

/* ---- What outlives the daemon ---- */

static json_t *ref_to_json(const ProfileRef *ref) {
        json_t *programs = json_array();

        if (ref->error) {
                json_decref(programs);
                return json_pack("{s:s, s:s, s:s}", "id", ref->id, "error", "ProfileDamaged", "message", ref->error);
        }
        for (char **s = ref->programs; *s; s++)
                (void) json_array_append_new(programs, json_string(*s));
        return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:o}", "id", ref->id, "profile",
                profile_to_string(ref->profile), "created_at", (json_int_t) ref->created_at, "bytes",
                (json_int_t) ref->bytes, "digest", ref->digest, "qemu_version", ref->version, "loader", ref->loader,
                "source", ref->source ?: "", "binaries", (int) ref->binaries, "libraries", (int) ref->libraries, "firmware", (int) ref->firmware,
                "modules", (int) ref->modules, "programs", programs);
}

void profiles_remember(struct Profiles *ps) {
        json_t *refs = json_object(), *fact;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, ps->refs);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                (void) json_object_set_new(refs, ((ProfileRef *) value)->file, ref_to_json(value));
        fact = json_pack("{s:o}", "refs", refs);
        if (store_fact_save(ps->runtime->store, FACT, fact) < 0)
                log_warning("what is known of profiles could not be stored; it will be looked at again");
        json_decref(fact);
}

static void recall(struct Profiles *ps) {
        json_t *fact = store_fact_load(ps->runtime->store, FACT), *told;
        const char *file;

        json_object_foreach(json_object_get(fact, "refs"), file, told) {
                ProfileRef *ref;

                if (profile_ref_parse(file, text_of(told, "id"), told, &ref) < 0)
                        continue;
                ref->source = g_strdup(text_of(told, "source"));
                profiles_add_ref(ps, ref);
        }
        json_decref(fact);
}

static void on_scanned(const Problem *problem, void *userdata) {
        profiles_ask_versions(userdata);
}

void profiles_load(Runtime *rt) {
        struct Profiles *ps = rt->profiles;
        Waiter *unused;

        recall(ps);
        profiles_recall_versions(ps);
        profiles_choose(ps);
        for (ProfileId id = 0; ps->store && id < PROFILE_MAX; id++)
                ps->all[id].assembled = profile_store_current(ps->store, ps->all[id].name);
        profiles_scan(ps, on_scanned, ps, &unused);
}

/* ---- What a profile says ---- */

bool profile_is_assembled(const Profile *p) {
        return p->ref && g_strcmp0(p->assembled, p->ref->digest) == 0;
}

char *qemu_host_program(const Config *config, const char *architecture) {
        g_autofree char *directory = NULL, *name = NULL;

        if (strcmp(architecture, config_host_architecture()) == 0) /* QEMU= is the host's own architecture's */
                return g_strdup(config->qemu);
        directory = g_path_get_dirname(config->qemu);
        name = profile_binary_name(architecture);
        return g_build_filename(directory, name, NULL);
}

/* The first of the profile's architectures whose program the host has; the caller frees, NULL. */
static char *host_program(const Profile *p, uint32_t *ret_count) {
        g_autofree const char **architectures = profile_architectures(p->id, p->runtime->limits.architecture);
        char *first = NULL;

        *ret_count = 0;
        for (const char **a = architectures; *a; a++) {
                g_autofree char *path = qemu_host_program(p->runtime->config, *a);

                if (access(path, X_OK) < 0)
                        continue;
                (*ret_count)++;
                if (!first)
                        first = g_steal_pointer(&path);
        }
        return first;
}

const char *profile_version(const Profile *p) {
        g_autofree char *program = NULL;
        uint32_t n;

        if (p->ref)
                return *p->ref->version ? p->ref->version : p->found_version;
        program = host_program(p, &n);
        return (program ? g_hash_table_lookup(p->runtime->profiles->host_versions, program) : NULL) ?: "";
}

void profile_counts(const Profile *p, uint32_t *ret_binaries, uint32_t *ret_libraries, uint32_t *ret_firmware) {
        if (p->ref) {
                *ret_binaries = p->ref->binaries;
                *ret_libraries = p->ref->libraries;
                *ret_firmware = p->ref->firmware;
        } else {
                g_free(host_program(p, ret_binaries));
                *ret_libraries = *ret_firmware = 0;
        }
}

/* ---- Resolve ---- */

void profile_paths_clear(ProfilePaths *paths) {
        g_free(paths->binary);
        g_free(paths->firmware);
        g_free(paths->libraries);
        g_free(paths->loader);
        *paths = (ProfilePaths){};
}

static int fail_missing(const Profile *p, const char *architecture, const char *what, Problem **ret_problem) {
        const Machine *machine = machine_find(architecture);

        return problem_set(ret_problem, "ToolMissing", "Profile",
                "Profile: %s for %s guests: %s; install the package %s, or import and assemble a build of QEMU with "
                "ImportProfile('%s', ...)",
                p->name, architecture, what, machine ? machine->package : "of QEMU", p->name);
}

static int resolve_host(const Profile *p, const char *architecture, ProfilePaths *ret, Problem **ret_problem) {
        g_autofree char *path = qemu_host_program(p->runtime->config, architecture);
        g_autofree char *what = g_strdup_printf("%s is not there, and no manifest is", path);

        if (access(path, X_OK) < 0)
                return fail_missing(p, architecture, what, ret_problem);
        *ret = (ProfilePaths){.binary = g_steal_pointer(&path),
                .firmware = g_strdup(access("/usr/share/qemu", F_OK) == 0 ? "/usr/share/qemu" : ""),
                .libraries = g_strdup(""),
                .loader = g_strdup("")};
        return 0;
}

static int resolve_assembled(const Profile *p, const char *architecture, ProfilePaths *ret, Problem **ret_problem) {
        g_autofree char *name = profile_binary_name(architecture), *path = g_build_filename("bin", name, NULL);
        g_autofree char *base = NULL, *what = g_strdup_printf("its assembly has no bin/%s", name);

        if (!g_strv_contains((const char *const *) p->ref->programs, name))
                return fail_missing(p, architecture, what, ret_problem);
        if (!profile_store_has_program(p->runtime->profiles->store, p->name, path))
                return problem_set(ret_problem, "ProfileDamaged", "Profile",
                        "Profile: %s: %s is not in its assembly, or cannot be executed; call Assemble", p->name, path);
        base = g_build_filename(profile_store_path(p->runtime->profiles->store), "qemu", p->name, NULL);
        *ret = (ProfilePaths){.binary = g_build_filename(base, path, NULL),
                .firmware = p->ref->firmware > 0 ? g_build_filename(base, "firmware", NULL) : g_strdup(""),
                .libraries = p->ref->libraries > 0 ? g_build_filename(base, "lib", NULL) : g_strdup(""),
                .loader = *p->ref->loader ? g_build_filename(base, p->ref->loader, NULL) : g_strdup(""),
                .assembled = true};
        return 0;
}

static int fail_architecture(const Profile *p, const char *architecture, Problem **ret_problem) {
        g_autofree const char **list = profile_architectures(p->id, p->runtime->limits.architecture);
        g_autofree char *known = g_strjoinv(", ", (char **) list), *quoted = problem_quote(architecture);

        return problem_set(ret_problem, "NotSupported", "Profile",
                "Profile: %s does not run %s guests on this host; it runs: %s", p->name, quoted,
                *known ? known : "none");
}

int profile_resolve(Profile *p, const char *architecture, ProfilePaths *ret, Problem **ret_problem) {
        const char *known = profile_architecture(architecture);

        if (!known || !profile_takes(p->id, known, p->runtime->limits.architecture))
                return fail_architecture(p, architecture, ret_problem);
        if (!p->ref)
                return resolve_host(p, known, ret, ret_problem);
        return profile_is_assembled(p) ? resolve_assembled(p, known, ret, ret_problem) : -EAGAIN;
}

ProfileBundle *profile_bundle(const Profile *p, const char *architecture) {
        g_autofree char *program = profile_binary_name(architecture);
        ProfileBundle *b;

        if (!p->ref || !g_strv_contains((const char *const *) p->ref->programs, program))
                return NULL;
        b = g_new0(ProfileBundle, 1);
        g_strlcpy(b->digest, p->ref->digest, sizeof b->digest);
        b->program = g_steal_pointer(&program);
        b->loader = g_strdup(p->ref->loader);
        b->bundle = (QEMUBundle){.program = b->program,
                .loader = b->loader,
                .libraries = p->ref->libraries > 0,
                .modules = p->ref->modules,
                .firmware = p->ref->firmware > 0};
        return b;
}

void profile_bundle_free(ProfileBundle *b) {
        if (!b)
                return;
        g_free(b->program);
        g_free(b->loader);
        g_free(b);
}

int profile_open(const Profile *p) {
        return profile_store_open_current(p->runtime->profiles->store, p->name);
}

/* ---- Explain ---- */

static void explain_add(GPtrArray *pairs, const char *candidate, const char *reason) {
        g_ptr_array_add(pairs, g_strdup(candidate));
        g_ptr_array_add(pairs, g_strdup(reason));
}

static void explain_profiles(Profile *p, const char *architecture, GPtrArray *pairs) {
        const Runtime *rt = p->runtime;

        for (ProfileId id = 0; id < PROFILE_MAX; id++) {
                g_autofree char *reason = NULL;

                if (!profile_takes(id, architecture, rt->limits.architecture))
                        reason = g_strdup_printf(profile_needs_kvm(id)
                                                         ? "no: KVM runs %s guests only, and needs a build for them"
                                                         : "no: it does not run %s guests",
                                profile_needs_kvm(id) ? rt->limits.architecture : architecture);
                else if (profile_needs_kvm(id))
                        reason = g_strdup_printf(
                                "%s: %s", rt->kvm == KVM_USABLE ? "yes" : "no", rt->kvm_text ?: "KVM is being probed");
                else
                        reason = g_strdup("yes: it emulates, and needs nothing of the host's processor");
                explain_add(pairs, profile_to_string(id), reason);
        }
}

static void explain_sources(Profile *p, const char *architecture, GPtrArray *pairs) {
        g_autofree char *program = profile_binary_name(architecture),
                        *path = qemu_host_program(p->runtime->config, architecture), *reason = NULL;
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, p->runtime->profiles->refs);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
                const ProfileRef *ref = value;

                if (!profile_ref_is_of(ref->file, p->name))
                        continue;
                g_free(reason);
                if (ref->error)
                        reason = g_strdup_printf("no: %s", ref->error);
                else if (ref != p->ref)
                        reason = g_strdup("no: a newer manifest is there");
                else if (!g_strv_contains((const char *const *) ref->programs, program))
                        reason = g_strdup_printf("no: it has no bin/%s", program);
                else
                        reason = g_strdup(profile_is_assembled(p) ? "yes: the newest manifest, and it is assembled"
                                                                  : "yes: the newest manifest, to be assembled");
                explain_add(pairs, ref->file, reason);
        }
        if (p->ref)
                explain_add(pairs, path, "no: a manifest comes before the host's QEMU");
        else
                explain_add(pairs, path,
                        access(path, X_OK) < 0 ? "no: it is not there"
                                               : "yes: the host's QEMU, as there is no manifest");
}

GPtrArray *profile_explain(Profile *p, const char *architecture) {
        GPtrArray *pairs = g_ptr_array_new_with_free_func(g_free);
        const char *known = profile_architecture(architecture);

        if (!known) {
                explain_add(pairs, p->name,
                        "no: no profile runs guests of that architecture; known are " PROFILE_ARCHITECTURES);
                return pairs;
        }
        explain_profiles(p, known, pairs);
        if (profile_takes(p->id, known, p->runtime->limits.architecture))
                explain_sources(p, known, pairs);
        return pairs;
}
