/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the names of users that were looked up, and the threads that do it. */
#include "core/users.h"

#include <errno.h>
#include <glib.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>

#include "shared/fd.h"

#define USERS_MAX 1024U
#define USER_WAITERS_MAX 64U
#define USER_THREADS 4 /* one that hangs does not hold up the others */
#define USER_FRESH_USEC (60ULL * G_USEC_PER_SEC)
#define USER_BYTES_MAX (1024U * 1024U) /* of an entry in the user database */

typedef struct Waiting {
        UsersKnown known;
        void *userdata;
} Waiting;

typedef struct User {
        char *name; /* NULL: not known */
        uint64_t asked;
        struct Lookup *lookup; /* under way */
        GArray *waiting;       /* Waiting */
} User;

struct Users {
        GHashTable *users; /* uid -> User */
        GThreadPool *threads;
        UsersNamed named;
        void *userdata;
};

/* The thread has uid and name, the main loop the rest. */
typedef struct Lookup {
        uint32_t uid;
        char *name;   /* NULL: it cannot be found out now */
        Users *users; /* NULL: nobody cares any more */
} Lookup;

static void tell_waiting(User *user) {
        g_autoptr(GArray) waiting = g_steal_pointer(&user->waiting);

        user->waiting = g_array_new(FALSE, FALSE, sizeof(Waiting));
        for (guint i = 0; i < waiting->len; i++) {
                const Waiting *w = &g_array_index(waiting, Waiting, i);

                w->known(user->name ?: "", w->userdata);
        }
}

static void user_free(void *p) {
        User *user = p;

        tell_waiting(user);
        if (user->lookup)
                user->lookup->users = NULL;
        g_array_unref(user->waiting);
        g_free(user->name);
        g_free(user);
}

static gboolean on_known(gpointer data) {
        Lookup *l = data;
        Users *u = l->users;
        User *user = u ? g_hash_table_lookup(u->users, GUINT_TO_POINTER(l->uid)) : NULL;

        if (user) {
                bool news = l->name && g_strcmp0(l->name, user->name) != 0;

                user->lookup = NULL;
                if (news) {
                        g_free(user->name);
                        user->name = g_strdup(l->name);
                }
                tell_waiting(user);
                if (news)
                        u->named(l->uid, l->name, u->userdata);
        }
        g_free(l->name);
        g_free(l);
        return G_SOURCE_REMOVE;
}

/* getpwuid_r(3): no such user is 0 without an entry, or one of these, depending on who was asked. */
static bool is_nobody(int r) {
        return r == 0 || r == ENOENT || r == ESRCH || r == EBADF || r == EPERM;
}

/* In a thread. */
static void look_up(gpointer data, gpointer userdata) {
        Lookup *l = data;
        int r = ERANGE;

        for (size_t size = 4096; r == ERANGE && size <= USER_BYTES_MAX; size *= 4) {
                g_autofree char *buf = g_malloc(size);
                struct passwd pw, *found = NULL;

                r = getpwuid_r(l->uid, &pw, buf, size, &found);
                if (r == 0 && found)
                        l->name = g_utf8_make_valid(found->pw_name, -1);
        }
        if (!l->name && is_nobody(r))
                l->name = g_strdup("");
        (void) g_idle_add_full(G_PRIORITY_DEFAULT, on_known, l, NULL);
}

static gboolean is_idle(gpointer key, gpointer value, gpointer userdata) {
        return !((User *) value)->lookup;
}

/* NULL where too many are asked for. */
static User *find_user(Users *u, uint32_t uid) {
        User *user = g_hash_table_lookup(u->users, GUINT_TO_POINTER(uid));

        if (user)
                return user;
        if (g_hash_table_size(u->users) >= USERS_MAX)
                (void) g_hash_table_foreach_remove(u->users, is_idle, NULL);
        if (g_hash_table_size(u->users) >= USERS_MAX)
                return NULL;
        user = g_new0(User, 1);
        user->waiting = g_array_new(FALSE, FALSE, sizeof(Waiting));
        (void) g_hash_table_insert(u->users, GUINT_TO_POINTER(uid), user);
        return user;
}

static void ask(Users *u, User *user, uint32_t uid) {
        uint64_t now = now_monotonic();
        Lookup *l;

        /* Who has no name may get one at any moment. */
        if (user->lookup || (user->name && *user->name && now - user->asked < USER_FRESH_USEC))
                return;
        l = g_new(Lookup, 1);
        *l = (Lookup){.uid = uid, .users = u};
        user->asked = now;
        user->lookup = l;
        (void) g_thread_pool_push(u->threads, l, NULL); /* where no thread can be made now it waits for one */
}

const char *users_name(Users *u, uint32_t uid) {
        User *user = find_user(u, uid);

        if (!user)
                return "";
        ask(u, user, uid);
        return user->name ?: "";
}

void users_when_known(Users *u, uint32_t uid, UsersKnown known, void *userdata) {
        User *user = find_user(u, uid);
        Waiting w = {known, userdata};

        if (!user || user->name || user->waiting->len >= USER_WAITERS_MAX) {
                known(user && user->name ? user->name : "", userdata);
                return;
        }
        g_array_append_val(user->waiting, w);
        ask(u, user, uid);
}

Users *users_new(UsersNamed named, void *userdata) {
        Users *u = g_new(Users, 1);

        *u = (Users){.users = g_hash_table_new_full(NULL, NULL, NULL, user_free),
                .threads = g_thread_pool_new(look_up, NULL, USER_THREADS, FALSE, NULL),
                .named = named,
                .userdata = userdata};
        return u;
}

Users *users_free(Users *u) {
        if (!u)
                return NULL;
        g_hash_table_unref(u->users);
        g_thread_pool_free(u->threads, FALSE, FALSE); /* what waits in it is done for nobody, and freed */
        g_free(u);
        return NULL;
}
