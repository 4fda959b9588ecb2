/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.mcp.Runtime1.Profile, and the Manager's methods about profiles. */
#include "core/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "shared/fd.h"

typedef struct ProfileRequest {
        ProfileId id;
        char *path, *version, *architecture, *mode, *os;
        int source;
} ProfileRequest;

static void request_free(void *p) {
        ProfileRequest *q = p;

        g_free(q->path);
        g_free(q->version);
        g_free(q->architecture);
        g_free(q->mode);
        g_free(q->os);
        (void) close_fd(q->source);
        g_free(q);
}

static ProfileRequest *request_new(ProfileId id) {
        ProfileRequest *q = g_new0(ProfileRequest, 1);

        q->id = id;
        q->source = -1;
        return q;
}

int manager_find_profile(const char *name, ProfileId *ret, sd_bus_error *error) {
        *ret = profile_from_string(name);
        if (*ret != PROFILE_INVALID)
                return 0;
        {
                g_autofree char *shown = problem_quote(name);

                return bus_error_named(
                        error, "NoSuchProfile", "there is no profile %s; there are " PROFILE_NAMES, shown);
        }
}

/* An answer that comes later. */
typedef struct Answer {
        sd_bus_message *message;
        Profile *profile;
        ProfileRequest *request; /* owned */
} Answer;

static Answer *answer_new(Call *c) {
        Answer *a = g_new0(Answer, 1);

        a->message = sd_bus_message_ref(c->message);
        a->request = g_steal_pointer(&c->request);
        a->profile = a->request ? profile_get(c->bus->runtime, a->request->id) : NULL;
        return a;
}

static void answer_end(Answer *a, int r, const Problem *problem) {
        if (problem)
                answer_problem(a->message, problem);
        else if (r < 0)
                (void) sd_bus_reply_method_errno(a->message, r, NULL);
        sd_bus_message_unref(a->message);
        if (a->request)
                request_free(a->request);
        g_free(a);
}

/* ---- Manager: SelectProfile, GetProfile, ListProfiles ---- */

static Runtime *runtime_of(const Answer *a) {
        return a->profile->runtime;
}

/* Whether KVM runs guests is known now. */
static void on_kvm_known(const Problem *problem, void *userdata) {
        Answer *a = userdata;
        const ProfileRequest *q = a->request;
        const Runtime *rt = runtime_of(a);
        ProfileHost host = {rt->limits.architecture, rt->kvm == KVM_USABLE};
        g_autoptr(Problem) refusal = NULL;
        ProfileId id;
        int r;

        r = profile_select(q->mode, q->architecture, q->os, &host, &id, NULL, &refusal);
        if (r >= 0)
                r = sd_bus_reply_method_return(a->message, "s", profile_to_string(id));
        answer_end(a, r, refusal);
}

static int run_select(Call *c, sd_bus_error *error) {
        Waiter *unused;

        runtime_probe_kvm(c->bus->runtime, on_kvm_known, answer_new(c), &unused);
        return 0;
}

int manager_select_profile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *mode, *architecture, *os;
        ProfileRequest *q;
        int r;

        r = sd_bus_message_read(m, "sss", &mode, &architecture, &os);
        if (r < 0)
                return r;
        q = request_new(0);
        q->mode = g_strdup(mode);
        q->architecture = g_strdup(architecture);
        q->os = g_strdup(os);
        return call_begin(call_new(userdata, m, "Manager", q, request_free, run_select), error);
}

int manager_get_profile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        ProfileId id;
        char *path;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = manager_find_profile(name, &id, error);
        if (r < 0)
                return r;
        path = bus_profile_path(name);
        r = sd_bus_reply_method_return(m, "o", path);
        free(path);
        return r;
}

int manager_list_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        Bus *b = userdata;
        int r;

        r = message_read_no_options(m, error);
        if (r >= 0)
                r = answer_list_new(m, "(sbso)", &reply);
        for (ProfileId id = 0; id < PROFILE_MAX && r >= 0; id++) {
                const Profile *p = profile_get(b->runtime, id);
                char *path = bus_profile_path(p->name);

                r = sd_bus_message_append(
                        reply, "(sbso)", p->name, (int) profile_is_assembled(p), profile_version(p), path);
                free(path);
        }
        return answer_list(reply, r);
}

/* ---- Manager: ImportProfile, ImportProfileFile, CleanProfiles ---- */

static int run_import(Call *c, sd_bus_error *error) {
        ProfileRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (profile_import(profile_get(c->bus->runtime, q->id), c->uid, take_fd(&q->source), q->path, q->version, &job,
                    &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

static int check_version(const char *version, sd_bus_error *error) {
        size_t n = version ? strlen(version) : 0;

        if (n > 64)
                return bus_error_named(error, "InvalidSpec", "QEMUVersion: has %zu bytes, at most 64 are accepted", n);
        for (const char *p = version; p && *p; p++)
                if (!g_ascii_isprint(*p))
                        return bus_error_named(
                                error, "InvalidSpec", "QEMUVersion: expected printable characters, as in '7.2.22'");
        return 0;
}

/* Reads "s" or "sh"/"ss" and the options; the rest is the caller's. */
static int read_import(sd_bus_message *m, const char *name, ProfileRequest **ret, sd_bus_error *error) {
        static const OptionKey keys[] = {{"QEMUVersion", "s"}, {}};
        json_t *options;
        ProfileId id;
        int r;

        r = message_read_options(m, keys, &options, error);
        if (r < 0)
                return r;
        r = manager_find_profile(name, &id, error);
        if (r >= 0)
                r = check_version(json_string_value(json_object_get(options, "QEMUVersion")), error);
        if (r >= 0) {
                *ret = request_new(id);
                (*ret)->version = g_strdup(json_string_value(json_object_get(options, "QEMUVersion")));
        }
        json_decref(options);
        return r;
}

int manager_import_profile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name;
        ProfileRequest *q;
        struct stat st;
        int fd, r;
        Call *c;

        r = sd_bus_message_read(m, "sh", &name, &fd);
        if (r >= 0)
                r = read_import(m, name, &q, error);
        if (r < 0)
                return r;
        r = fcntl(fd, F_GETFL);
        if (r < 0 || (r & O_ACCMODE) == O_WRONLY || (r & O_PATH) || fstat(fd, &st) < 0 ||
                !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
                request_free(q);
                return bus_error_named(error, "UnsupportedImage",
                        "the descriptor must be a regular file, a pipe or a socket that can be read");
        }
        q->source = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (q->source < 0) {
                r = -errno;
                request_free(q);
                return r;
        }
        c = call_new(userdata, m, "Manager", q, request_free, run_import);
        c->detail_profile = g_strdup(profile_to_string(q->id));
        return call_begin(c, error);
}

static int plan_import_file(Call *c, sd_bus_error *error) {
        call_add_action(c, "use-host-path");
        return 0;
}

int manager_import_profile_file(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *name, *path;
        ProfileRequest *q;
        Call *c;
        int r;

        r = sd_bus_message_read(m, "ss", &name, &path);
        if (r >= 0)
                r = read_import(m, name, &q, error);
        if (r < 0)
                return r;
        r = manager_check_path(b, path, error);
        if (r < 0) {
                request_free(q);
                return r;
        }
        q->path = g_strdup(path);
        c = call_new(b, m, "Manager", q, request_free, run_import);
        c->plan = plan_import_file;
        c->detail_path = g_strdup(path);
        c->detail_profile = g_strdup(profile_to_string(q->id));
        return call_begin(c, error);
}

static void on_cleaned(uint64_t bytes, uint32_t count, const Problem *problem, void *userdata) {
        Answer *a = userdata;
        int r = problem ? 0 : sd_bus_reply_method_return(a->message, "tu", bytes, count);

        answer_end(a, r, problem);
}

static int run_clean(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Answer *a = answer_new(c);

        if (profiles_clean(c->bus->runtime, on_cleaned, a, &problem) >= 0)
                return 0;
        sd_bus_message_unref(a->message);
        g_free(a);
        return bus_error_problem(error, problem);
}

int manager_clean_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r = message_read_no_options(m, error);

        return r < 0 ? r : call_begin(call_new(userdata, m, "Manager", NULL, NULL, run_clean), error);
}

/* ---- Profile ---- */

static int run_assemble(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (profile_assemble(profile_find(c->bus->runtime, c->detail_profile), c->uid, &job, &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

static int run_verify(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (profile_verify(profile_find(c->bus->runtime, c->detail_profile), c->uid, &job, &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

static int begin(sd_bus_message *m, Profile *p, void *request, CallRun run, sd_bus_error *error) {
        Call *c = call_new(bus_of(p->runtime), m, "Profile", request, request_free, run);

        c->detail_profile = g_strdup(p->name);
        return call_begin(c, error);
}

static int method_assemble(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_assemble, error);
}

static int method_verify(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return begin(m, userdata, NULL, run_verify, error);
}

/* What had to be assembled is, or could not be. */
static void on_ensured(const Problem *problem, void *userdata) {
        Answer *a = userdata;
        g_autoptr(Problem) refusal = NULL;
        ProfilePaths paths = {};
        int r = 0;

        if (!problem)
                r = profile_resolve(a->profile, a->request->architecture, &paths, &refusal);
        if (!problem && r >= 0)
                r = sd_bus_reply_method_return(a->message, "ssss", paths.binary, paths.firmware, paths.libraries,
                        profile_architecture(a->request->architecture));
        profile_paths_clear(&paths);
        answer_end(a, r, problem ?: refusal);
}

/* Only what can come of it is begun: an architecture that the profile does not take is refused before. */
static int run_resolve(Call *c, sd_bus_error *error) {
        ProfileRequest *q = c->request;
        Profile *p = profile_get(c->bus->runtime, q->id);
        g_autoptr(Problem) problem = NULL;
        ProfilePaths paths = {};
        Waiter *unused;

        if (profile_resolve(p, q->architecture, &paths, &problem) < 0 && problem)
                return bus_error_problem(error, problem);
        profile_paths_clear(&paths);
        profile_ensure(p, on_ensured, answer_new(c), &unused);
        return 0;
}

static int read_architecture(sd_bus_message *m, Profile *p, CallRun run, sd_bus_error *error) {
        const char *architecture;
        ProfileRequest *q;
        int r;

        r = sd_bus_message_read(m, "s", &architecture);
        if (r < 0)
                return r;
        q = request_new(p->id);
        q->architecture = g_strdup(architecture);
        return begin(m, p, q, run, error);
}

static int method_resolve(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return read_architecture(m, userdata, run_resolve, error);
}

static int run_explain(Call *c, sd_bus_error *error) {
        __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *reply = NULL;
        ProfileRequest *q = c->request;
        g_autoptr(GPtrArray) pairs = profile_explain(profile_get(c->bus->runtime, q->id), q->architecture);
        int r;

        r = answer_list_new(c->message, "(ss)", &reply);
        for (guint i = 0; i + 1 < pairs->len && r >= 0; i += 2)
                r = sd_bus_message_append(
                        reply, "(ss)", (const char *) pairs->pdata[i], (const char *) pairs->pdata[i + 1]);
        return answer_list(reply, r);
}

static int method_explain(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return read_architecture(m, userdata, run_explain, error);
}

/* ---- Properties ---- */

BUS_GETTER(get_name) {
        return sd_bus_message_append(reply, "s", ((Profile *) userdata)->name);
}

BUS_GETTER(get_accelerator) {
        return sd_bus_message_append(
                reply, "s", accelerator_to_string(profile_accelerator(((Profile *) userdata)->id)));
}

BUS_GETTER(get_architectures) {
        const Profile *p = userdata;
        g_autofree const char **list = profile_architectures(p->id, p->runtime->limits.architecture);

        return sd_bus_message_append_strv(reply, (char **) list);
}

BUS_GETTER(get_digest) {
        const Profile *p = userdata;
        g_autofree char *digest = p->ref ? g_strconcat("sha256:", p->ref->digest, NULL) : g_strdup("");

        return sd_bus_message_append(reply, "s", digest);
}

BUS_GETTER(get_source) {
        const Profile *p = userdata;

        return sd_bus_message_append(reply, "s", p->ref && p->ref->source ? p->ref->source : "");
}

BUS_GETTER(get_assembled) {
        return sd_bus_message_append(reply, "b", (int) profile_is_assembled(userdata));
}

BUS_GETTER(get_qemu_version) {
        return sd_bus_message_append(reply, "s", profile_version(userdata));
}

BUS_GETTER(get_count) {
        uint32_t binaries, libraries, firmware;

        profile_counts(userdata, &binaries, &libraries, &firmware);
        return sd_bus_message_append(reply, "u",
                strcmp(property, "Binaries") == 0    ? binaries
                : strcmp(property, "Libraries") == 0 ? libraries
                                                     : firmware);
}

const sd_bus_vtable profile_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Resolve", SD_BUS_ARGS("s", architecture),
                SD_BUS_RESULT("s", binary, "s", firmware, "s", libraries, "s", architecture), method_resolve,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Assemble", SD_BUS_NO_ARGS, SD_BUS_RESULT("u", id, "o", job), method_assemble,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS(
                "Verify", SD_BUS_NO_ARGS, SD_BUS_RESULT("u", id, "o", job), method_verify, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("s", architecture), SD_BUS_RESULT("a(ss)", candidates),
                method_explain, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Accelerator", "s", get_accelerator, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Architectures", "as", get_architectures, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Digest", "s", get_digest, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Source", "s", get_source, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Assembled", "b", get_assembled, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("QEMUVersion", "s", get_qemu_version, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Binaries", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Libraries", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Firmware", "u", get_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};
