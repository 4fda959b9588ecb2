/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the logins at registries, and what systemd keeps of them. */
#include "core/logins.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "core/secret.h"
#include "model/name.h"
#include "shared/fd.h"
#include "shared/log.h"

#define LOGIN_FD_PREFIX "login-"
#define AUTH_FILE_MAX (16U * 1024U)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

typedef struct Login {
        uint32_t uid;
        char *registry;
        int fd;
} Login;

struct Logins {
        Runtime *runtime;
        GHashTable *logins; /* name in systemd's store -> Login, owned */
        GPtrArray *reads;   /* LoginRead under way, owned */
};

struct LoginRead {
        Logins *logins;
        uint32_t uid;
        char *registry, *user;
        Secret *secret;
        WaiterDone done;
        void *userdata;
};

static void login_free(void *p) {
        Login *l = p;

        (void) close_fd(l->fd);
        g_free(l->registry);
        g_free(l);
}

static void login_read_free(LoginRead *l) {
        (void) secret_cancel(l->secret);
        g_free(l->registry);
        g_free(l->user);
        g_free(l);
}

Logins *logins_new(Runtime *rt) {
        Logins *c = g_new0(Logins, 1);

        *c = (Logins){.runtime = rt};
        c->logins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, login_free);
        c->reads = g_ptr_array_new();
        return c;
}

static void login_read_end(LoginRead *l, const Problem *problem) {
        (void) g_ptr_array_remove_fast(l->logins->reads, l);
        l->done(problem, l->userdata);
        login_read_free(l);
}

LoginRead *login_cancel(LoginRead *l) {
        if (!l)
                return NULL;
        (void) g_ptr_array_remove_fast(l->logins->reads, l);
        login_read_free(l);
        return NULL;
}

void logins_free(Logins *c) {
        g_autoptr(Problem) problem = problem_new("Canceled", NULL, "the service is ending");

        if (!c)
                return;
        while (c->reads->len > 0)
                login_read_end(c->reads->pdata[0], problem);
        g_ptr_array_unref(c->reads);
        g_hash_table_unref(c->logins);
        g_free(c);
}

/* A registry's name may hold a colon, which a descriptor's name may not. */
static char *store_name(uint32_t uid, const char *registry) {
        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, registry, -1);

        return g_strdup_printf(LOGIN_FD_PREFIX "%" PRIu32 "-%.32s", uid, hash);
}

static unsigned count_logins(Logins *c, uint32_t uid) {
        GHashTableIter iter;
        gpointer value;
        unsigned n = 0;

        g_hash_table_iter_init(&iter, c->logins);
        while (g_hash_table_iter_next(&iter, NULL, &value))
                n += ((Login *) value)->uid == uid;
        return n;
}

static bool user_is_valid(const char *user) {
        size_t n = strlen(user);

        for (const char *p = user; *p; p++)
                if ((unsigned char) *p < 0x20 || *p == 0x7f || *p == ':')
                        return false;
        return n >= 1 && n <= LOGIN_USER_MAX;
}

int logins_check(Logins *c, uint32_t uid, const char *registry, const char *user, Problem **ret_problem) {
        g_autofree char *name = store_name(uid, registry);

        if (!registry_name_is_valid(registry)) {
                g_autofree char *shown = problem_quote(registry);

                return problem_set(ret_problem, "InvalidSpec", "registry",
                        "registry: %s is no registry; expected host[:port], like 'registry.example.com'", shown);
        }
        if (!user_is_valid(user))
                return problem_set(ret_problem, "InvalidSpec", "user",
                        "user: expected 1 to %u bytes without ':' and control characters", LOGIN_USER_MAX);
        if (g_hash_table_contains(c->logins, name))
                return 0;
        if (count_logins(c, uid) >= LOGINS_PER_USER_MAX || g_hash_table_size(c->logins) >= LOGINS_MAX)
                return problem_set(ret_problem, "QuotaExceeded", "registry",
                        "user %" PRIu32 " is logged in at %u registries, the limit is %u (and %u for all users)", uid,
                        count_logins(c, uid), LOGINS_PER_USER_MAX, LOGINS_MAX);
        return 0;
}

/* {"auths":{REGISTRY:{"auth":base64(user:password)}}}, sealed. */
static int make_auth_file(const char *registry, const char *user, const char *password, size_t len) {
        size_t n = strlen(user) + 1 + len;
        char *pair = g_malloc(n), *encoded, *text;
        int fd;

        memcpy(pair, user, strlen(user));
        pair[strlen(user)] = ':';
        memcpy(pair + strlen(user) + 1, password, len);
        encoded = g_base64_encode((const guchar *) pair, n);
        text = g_strdup_printf("{\"auths\":{\"%s\":{\"auth\":\"%s\"}}}", registry, encoded);
        fd = memfd_sealed("login", text, strlen(text));
        explicit_bzero(pair, n);
        explicit_bzero(encoded, strlen(encoded));
        explicit_bzero(text, strlen(text));
        g_free(pair);
        g_free(encoded);
        g_free(text);
        return fd;
}

static void keep(Logins *c, uint32_t uid, const char *registry, int fd) {
        g_autofree char *name = store_name(uid, registry);
        Login *l = g_new(Login, 1);

        *l = (Login){.uid = uid, .registry = g_strdup(registry), .fd = fd};
        (void) g_hash_table_replace(c->logins, g_steal_pointer(&name), l);
}

static int take_password(LoginRead *l, const char *password, size_t len, Problem **ret_problem) {
        g_autofree char *name = store_name(l->uid, l->registry);
        int fd, r;

        if (len > 0 && password[len - 1] == '\n') /* of echo and of editors */
                len -= len > 1 && password[len - 2] == '\r' ? 2 : 1;
        if (len == 0 || memchr(password, 0, len) || memchr(password, '\n', len))
                return problem_set(ret_problem, "InvalidSpec", "password",
                        "password: expected one line of 1 to %u bytes from the descriptor", SECRET_MAX);
        r = logins_check(l->logins, l->uid, l->registry, l->user, ret_problem);
        if (r < 0)
                return r;
        fd = make_auth_file(l->registry, l->user, password, len);
        if (fd < 0)
                return problem_set(ret_problem, "NoSpace", NULL, "the login could not be kept: %s", g_strerror(-fd));
        r = fd_store_put(l->logins->runtime->fd_store, name, fd);
        if (r < 0) {
                (void) close_fd(fd);
                return problem_set(ret_problem, r == -EDQUOT ? "LimitExceeded" : "NoSpace", NULL,
                        "systemd cannot keep the login for the service: %s", g_strerror(-r));
        }
        keep(l->logins, l->uid, l->registry, fd);
        log_info("uid %" PRIu32 " is logged in at registry %s", l->uid, l->registry);
        return 0;
}

static void on_secret(const char *secret, size_t len, const Problem *problem, void *userdata) {
        g_autoptr(Problem) own = NULL;
        LoginRead *l = userdata;

        l->secret = NULL;
        if (!problem && take_password(l, secret, len, &own) < 0)
                problem = own;
        login_read_end(l, problem);
}

int logins_add(Logins *c, uint32_t uid, const char *registry, const char *user, int fd, WaiterDone done, void *userdata,
        LoginRead **ret, Problem **ret_problem) {
        LoginRead *l;
        int r;

        r = logins_check(c, uid, registry, user, ret_problem);
        if (r < 0) {
                (void) close_fd(fd);
                return r;
        }
        if (c->reads->len >= LOGINS_MAX) {
                (void) close_fd(fd);
                return problem_set(ret_problem, "Busy", NULL, "%u calls of Login are under way", c->reads->len);
        }
        l = g_new0(LoginRead, 1);
        *l = (LoginRead){.logins = c, .uid = uid, .done = done, .userdata = userdata};
        l->registry = g_strdup(registry);
        l->user = g_strdup(user);
        r = secret_read(c->runtime->event, fd, on_secret, l, &l->secret);
        if (r < 0) {
                login_read_free(l);
                return problem_set(ret_problem, "InvalidSpec", "password",
                        "password: its descriptor cannot be read: %s", g_strerror(-r));
        }
        g_ptr_array_add(c->reads, l);
        *ret = l;
        return 0;
}

int logins_remove(Logins *c, uint32_t uid, const char *registry, Problem **ret_problem) {
        g_autofree char *name = store_name(uid, registry);

        if (!g_hash_table_remove(c->logins, name)) {
                g_autofree char *shown = problem_quote(registry);

                return problem_set(
                        ret_problem, "InvalidSpec", "registry", "registry: you are not logged in at %s", shown);
        }
        fd_store_drop(c->runtime->fd_store, name);
        log_info("uid %" PRIu32 " is logged out of a registry", uid);
        return 0;
}

int logins_open(Logins *c, uint32_t uid, const char *registry) {
        g_autofree char *name = store_name(uid, registry);
        Login *l = g_hash_table_lookup(c->logins, name);
        int fd;

        if (!l)
                return -ENOENT;
        fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fd;
}

/* The registry that an auth file of ours is for; NULL for another file. */
static char *auth_file_registry(int fd) {
        char *text = NULL, *registry = NULL;
        json_t *object, *auths;
        size_t len;

        if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || read_file(fd, AUTH_FILE_MAX, &text, &len) < 0)
                return NULL;
        object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
        auths = json_object_get(object, "auths");
        if (json_object_size(auths) == 1)
                registry = g_strdup(json_object_iter_key(json_object_iter(auths)));
        json_decref(object);
        explicit_bzero(text, len);
        free(text);
        return registry;
}

static void restore(Logins *c, int fd, const char *name) {
        g_autofree char *registry = auth_file_registry(fd), *expected = NULL;
        g_auto(GStrv) parts = g_strsplit(name, "-", 3);
        guint64 uid = 0;

        if (registry && parts[1] && g_ascii_string_to_unsigned(parts[1], 10, 0, UINT32_MAX, &uid, NULL))
                expected = store_name((uint32_t) uid, registry);
        if (expected && strcmp(expected, name) == 0) {
                keep(c, (uint32_t) uid, registry, fd);
                return;
        }
        log_warning("what systemd kept under the name %s is no login, and is dropped", name);
        fd_store_drop(c->runtime->fd_store, name);
        (void) close_fd(fd);
}

void logins_restore(Logins *c) {
        for (;;) {
                g_autofree char *name = NULL;
                int fd = fd_store_take_any(c->runtime->fd_store, LOGIN_FD_PREFIX, &name);

                if (fd < 0)
                        return;
                restore(c, fd, name);
        }
}
