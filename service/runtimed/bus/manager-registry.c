/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Manager's methods about registries: PullImage and PushImage, of profiles and of disks too, Login, Logout. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/leavers.h"
#include "bus/manager.h"
#include "bus/message.h"
#include "core/image-build.h"
#include "core/logins.h"
#include "core/profile.h"
#include "core/registry.h"
#include "core/secret.h"
#include "model/name.h"
#include "shared/fd.h"

typedef struct RegistryRequest {
        char *reference, *destination; /* PullImage, PushImage */
        const char *architecture;      /* PullImage; static, NULL: the host's */
        ProfileId profile;             /* PullImage, PushImage; PROFILE_INVALID: an image */
        bool disk;                     /* PullImage: of a Nanos guest */
        VMSpec *build;                 /* PushImage: the disk that BuildImage made of it; NULL: none */
        char *registry, *user;         /* Login, Logout */
        int password;
} RegistryRequest;

static void registry_request_free(void *p) {
        RegistryRequest *q = p;

        g_free(q->reference);
        g_free(q->destination);
        vm_spec_free(q->build);
        g_free(q->registry);
        g_free(q->user);
        (void) close_fd(q->password);
        g_free(q);
}

static RegistryRequest *registry_request_new(void) {
        RegistryRequest *q = g_new0(RegistryRequest, 1);

        q->password = -1;
        q->profile = PROFILE_INVALID;
        return q;
}

/* Whether the reference has a registry, before anybody is asked. */
static int check_place(Bus *b, const char *reference, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        RegistryPlace place;

        if (registry_place(b->runtime, reference, &place, &problem) < 0)
                return bus_error_problem(error, problem);
        registry_place_clear(&place);
        return 0;
}

/* ---- PullImage, PushImage ---- */

/* A profile is everybody's, so who moves one may also import one. */
static int plan_profile(Call *c, sd_bus_error *error) {
        call_add_action(c, "manage-profiles");
        return 0;
}

/* Target: what of an image moves, if not the image itself. */
static int check_target(json_t *options, bool *ret_disk, sd_bus_error *error) {
        const char *target = json_string_value(json_object_get(options, "Target"));
        g_autofree char *shown = target ? problem_quote(target) : NULL;

        *ret_disk = target;
        if (target && strcmp(target, "nanos") != 0)
                return bus_error_named(error, "InvalidSpec",
                        "Target: %s; expected 'nanos', for the disk of a Nanos guest; an image goes without it", shown);
        if (target && (json_object_get(options, "Profile") || json_object_get(options, "Architecture")))
                return bus_error_named(
                        error, "InvalidSpec", "Target: goes neither with the option Profile nor with Architecture");
        return 0;
}

/* The rest of PushImage's options says which disk is meant, in the words of BuildImage; they are taken. */
static int read_build(Bus *b, bool disk, json_t *options, RegistryRequest *q, sd_bus_error *error) {
        static const char *const keys[] = {"Command", "Environment", "Network", "Address"};

        if (disk)
                return manager_parse_build(b, q->reference, options, &q->build, error);
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (json_object_get(options, keys[i])) {
                        json_decref(options);
                        return bus_error_named(
                                error, "InvalidSpec", "%s: goes with the option Target, 'nanos'", keys[i]);
                }
        json_decref(options);
        return 0;
}

/* The options of both; the architecture of an image alone. */
static int read_options(sd_bus_message *m, Bus *b, const OptionKey *keys, RegistryRequest *q, sd_bus_error *error) {
        const char *architecture, *profile;
        json_t *options;
        int r;

        r = message_read_options(m, keys, &options, error);
        if (r < 0)
                return r;
        architecture = json_string_value(json_object_get(options, "Architecture"));
        profile = json_string_value(json_object_get(options, "Profile"));
        r = manager_check_architecture(b->runtime, architecture, &q->architecture, error);
        if (r >= 0)
                r = check_target(options, &q->disk, error);
        if (r >= 0 && profile)
                r = manager_find_profile(profile, &q->profile, error);
        if (r >= 0 && profile && architecture)
                r = bus_error_named(
                        error, "InvalidSpec", "Architecture: goes with an image, not with the option Profile");
        if (r >= 0 && q->destination)
                return read_build(b, q->disk, options, q, error);
        json_decref(options);
        return r;
}

static int run_pull(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        Runtime *rt = c->bus->runtime;
        g_autoptr(Problem) problem = NULL;
        Job *job;
        int r;

        if (q->disk)
                r = nanos_pull(rt, c->uid, q->reference, &job, &problem);
        else if (q->profile == PROFILE_INVALID)
                r = image_pull(rt, c->uid, q->reference, q->architecture, &job, &problem);
        else
                r = profile_pull(profile_get(rt, q->profile), c->uid, q->reference, &job, &problem);
        return r < 0 ? bus_error_problem(error, problem) : answer_job(c, job);
}

/* Takes the request. */
static int begin_registry(sd_bus_message *m, Bus *b, RegistryRequest *q, const char *place, CallRun plan, CallRun run,
        sd_bus_error *error) {
        Call *c = call_new(b, m, "Manager", q, registry_request_free, run);

        c->plan = plan;
        c->detail_image = g_strdup(place);
        if (q->profile != PROFILE_INVALID) {
                c->plan = plan_profile;
                c->detail_profile = g_strdup(profile_to_string(q->profile));
        }
        return call_begin(c, error);
}

int manager_pull_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const OptionKey keys[] = {{"Architecture", "s"}, {"Profile", "s"}, {"Target", "s"}, {}};
        const char *reference;
        RegistryRequest *q;
        Bus *b = userdata;
        int r;

        r = sd_bus_message_read(m, "s", &reference);
        if (r < 0)
                return r;
        q = registry_request_new();
        q->reference = g_strdup(reference);
        r = read_options(m, b, keys, q, error);
        if (r >= 0)
                r = check_place(b, reference, error);
        if (r < 0) {
                registry_request_free(q);
                return r;
        }
        return begin_registry(m, b, q, reference, NULL, run_pull, error);
}

static int find_own(Call *c, Image **ret, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autofree char *shown = problem_quote(q->reference);

        *ret = image_find(c->bus->runtime, c->uid, q->reference);
        return *ret ? 0 : bus_error_named(error, "NoSuchImage", "you have no image %s", shown);
}

static int plan_push(Call *c, sd_bus_error *error) {
        Image *image;

        return find_own(c, &image, error);
}

static int run_push_profile(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        Job *job;

        if (profile_push(profile_get(c->bus->runtime, q->profile), c->uid, q->reference, q->destination, &job,
                    &problem) < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

static int run_push(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        Image *image;
        Job *job;
        int r;

        r = find_own(c, &image, error);
        if (r < 0)
                return r;
        r = q->build ? nanos_push(c->bus->runtime, c->uid, q->build, q->destination, &job, &problem)
                     : image_push(image, q->destination, &job, &problem);
        if (r < 0)
                return bus_error_problem(error, problem);
        return answer_job(c, job);
}

int manager_push_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const OptionKey keys[] = {{"Profile", "s"}, {"Target", "s"}, {"Command", "as"}, {"Environment", "as"},
                {"Network", "s"}, {"Address", "s"}, {}};
        const char *reference, *destination;
        RegistryRequest *q;
        Bus *b = userdata;
        int r;

        r = sd_bus_message_read(m, "ss", &reference, &destination);
        if (r < 0)
                return r;
        q = registry_request_new();
        q->reference = g_strdup(reference);
        q->destination = g_strdup(destination);
        r = read_options(m, b, keys, q, error);
        if (r >= 0)
                r = check_place(b, destination, error);
        if (r < 0) {
                registry_request_free(q);
                return r;
        }
        return begin_registry(m, b, q, destination, plan_push,
                q->profile == PROFILE_INVALID ? run_push : run_push_profile, error);
}

/* ---- Login, Logout ---- */

/* A call whose password is still to come. */
typedef struct LoginWait {
        sd_bus_message *message;
        Leaver *leaver;
        LoginRead *read;
} LoginWait;

static void login_wait_free(LoginWait *w) {
        (void) leaver_forget(w->leaver);
        sd_bus_message_unref(w->message);
        g_free(w);
}

static void on_login(const Problem *problem, void *userdata) {
        LoginWait *w = userdata;

        if (problem)
                answer_problem(w->message, problem);
        else
                (void) sd_bus_reply_method_return(w->message, NULL);
        login_wait_free(w);
}

static void on_caller_gone(void *userdata) {
        LoginWait *w = userdata;

        w->read = login_cancel(w->read);
        login_wait_free(w);
}

static int plan_login(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;

        if (logins_check(c->bus->runtime->logins, c->uid, q->registry, q->user, &problem) < 0)
                return bus_error_problem(error, problem);
        return 0;
}

static int run_login(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;
        LoginWait *w = g_new0(LoginWait, 1);
        int r = 0;

        w->message = sd_bus_message_ref(c->message);
        w->leaver = leaver_watch(c->bus, c->message, on_caller_gone, w);
        if (logins_add(c->bus->runtime->logins, c->uid, q->registry, q->user, take_fd(&q->password), on_login, w,
                    &w->read, &problem) < 0)
                r = bus_error_problem(error, problem);
        if (r < 0)
                login_wait_free(w);
        return r;
}

int manager_login(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *registry, *user;
        RegistryRequest *q;
        int fd, r;
        Call *c;

        r = sd_bus_message_read(m, "ssh", &registry, &user, &fd);
        if (r >= 0)
                r = message_read_no_options(m, error);
        if (r < 0)
                return r;
        if (!secret_fd_is_readable(fd))
                return bus_error_named(
                        error, "InvalidSpec", "password: expected a descriptor of a pipe or a socket that can be read");
        q = registry_request_new();
        q->registry = g_strdup(registry);
        q->user = g_strdup(user);
        q->password = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (q->password < 0) {
                r = -errno;
                registry_request_free(q);
                return r;
        }
        c = call_new(userdata, m, "Manager", q, registry_request_free, run_login);
        c->plan = plan_login;
        return call_begin(c, error);
}

static int run_logout(Call *c, sd_bus_error *error) {
        RegistryRequest *q = c->request;
        g_autoptr(Problem) problem = NULL;

        if (logins_remove(c->bus->runtime->logins, c->uid, q->registry, &problem) < 0)
                return bus_error_problem(error, problem);
        return sd_bus_reply_method_return(c->message, NULL);
}

int manager_logout(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *registry;
        RegistryRequest *q;
        int r;

        r = sd_bus_message_read(m, "s", &registry);
        if (r < 0)
                return r;
        q = registry_request_new();
        q->registry = g_strdup(registry);
        return call_begin(call_new(userdata, m, "Manager", q, registry_request_free, run_logout), error);
}
