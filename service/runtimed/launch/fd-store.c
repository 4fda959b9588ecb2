/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the descriptors that outlive the daemon in systemd's hands. */
#include "launch/fd-store.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "shared/fd.h"

struct FdStore {
        GHashTable *names;  /* all that systemd keeps */
        GHashTable *passed; /* name -> descriptor, until it is taken */
};

static void close_pointer(gpointer fd) {
        (void) close_fd(GPOINTER_TO_INT(fd));
}

FdStore *fd_store_new(int *ret_socket) {
        FdStore *s = g_new(FdStore, 1);
        char **names = NULL;
        int n;

        *s = (FdStore){.names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                .passed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, close_pointer)};
        *ret_socket = -1;
        n = sd_listen_fds_with_names(1, &names);
        for (int i = 0; i < n; i++) {
                int fd = SD_LISTEN_FDS_START + i;

                if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) > 0)
                        *ret_socket = fd;
                else {
                        (void) g_hash_table_add(s->names, g_strdup(names[i]));
                        (void) g_hash_table_replace(s->passed, g_strdup(names[i]), GINT_TO_POINTER(fd));
                }
                free(names[i]);
        }
        free(names);
        return s;
}

FdStore *fd_store_free(FdStore *s) {
        if (!s)
                return NULL;
        g_hash_table_unref(s->passed);
        g_hash_table_unref(s->names);
        g_free(s);
        return NULL;
}

int fd_store_put(FdStore *s, const char *name, int fd) {
        g_autofree char *state = g_strdup_printf("FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
        int r;

        if (g_hash_table_contains(s->names, name))
                fd_store_drop(s, name);
        if (g_hash_table_size(s->names) >= FD_STORE_MAX)
                return -EDQUOT;
        r = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
        if (r < 0)
                return r;
        (void) g_hash_table_add(s->names, g_strdup(name));
        return 0;
}

int fd_store_take(FdStore *s, const char *name) {
        gpointer key, fd;

        if (!g_hash_table_steal_extended(s->passed, name, &key, &fd))
                return -ENOENT;
        g_free(key);
        return GPOINTER_TO_INT(fd);
}

int fd_store_take_any(FdStore *s, const char *prefix, char **ret_name) {
        GHashTableIter iter;
        gpointer key;

        g_hash_table_iter_init(&iter, s->passed);
        while (g_hash_table_iter_next(&iter, &key, NULL))
                if (g_str_has_prefix(key, prefix)) {
                        *ret_name = g_strdup(key);
                        return fd_store_take(s, *ret_name);
                }
        return -ENOENT;
}

void fd_store_drop(FdStore *s, const char *name) {
        g_autofree char *state = g_strdup_printf("FDSTOREREMOVE=1\nFDNAME=%s", name);

        (void) g_hash_table_remove(s->passed, name);
        if (g_hash_table_remove(s->names, name))
                (void) sd_notify(0, state);
}

void fd_store_drop_unclaimed(FdStore *s) {
        g_autoptr(GList) names = g_hash_table_get_keys(s->passed);

        for (GList *n = names; n; n = n->next) {
                g_autofree char *name = g_strdup(n->data);

                fd_store_drop(s, name);
        }
}
