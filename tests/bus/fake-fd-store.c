/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plays systemd's descriptor store: what one daemon hands over, the next one gets. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/fd.h"

typedef struct Kept {
        char *name;
        int fd;
} Kept;

static void kept_clear(void *p) {
        Kept *k = p;

        (void) close_fd(k->fd);
        g_free(k->name);
}

static void drop(Rig *r, const char *name) {
        for (guint i = r->kept->len; i > 0; i--)
                if (strcmp(g_array_index(r->kept, Kept, i - 1).name, name) == 0)
                        (void) g_array_remove_index(r->kept, i - 1);
}

/* One notification; fd is -1 without. */
static void heard(Rig *r, const char *text, int fd) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        const char *name = NULL;

        for (char **l = lines; *l; l++)
                if (g_str_has_prefix(*l, "FDNAME="))
                        name = *l + strlen("FDNAME=");
        if (name && fd >= 0 && g_strv_contains((const char *const *) lines, "FDSTORE=1")) {
                Kept k = {g_strdup(name), fd};

                g_array_append_val(r->kept, k);
                return;
        }
        if (name && g_strv_contains((const char *const *) lines, "FDSTOREREMOVE=1"))
                drop(r, name);
        (void) close_fd(fd);
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        char text[1024];
        union {
                char buf[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(64)];
                struct cmsghdr align;
        } control;

        for (;;) {
                struct iovec iov = {text, sizeof text - 1};
                struct msghdr m = {
                        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
                ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
                int got = -1;

                if (n < 0)
                        return 0;
                text[n] = 0;
                for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
                        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                                memcpy(&got, CMSG_DATA(c), sizeof got);
                heard(userdata, text, got);
        }
}

void fake_fd_store_start(Rig *r) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        g_autofree char *path = rig_path(r, "notify");

        r->kept = g_array_new(FALSE, FALSE, sizeof(Kept));
        g_array_set_clear_func(r->kept, kept_clear);
        (void) g_strlcpy(address.sun_path, path, sizeof address.sun_path);
        r->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(r->notify, (struct sockaddr *) &address, sizeof address), 0);
        assert_true(sd_event_add_io(r->event, NULL, r->notify, EPOLLIN, on_notify, r) >= 0);
}

void fake_fd_store_free(Rig *r) {
        if (r->kept)
                g_array_unref(r->kept);
        (void) close_fd(r->notify);
}

void fake_fd_store_take(Rig *r) {
        (void) on_notify(NULL, r->notify, 0, r);
}

void fake_fd_store_forget(Rig *r) {
        fake_fd_store_take(r);
        g_array_set_size(r->kept, 0);
}

#define PARK 200

void fake_fd_store_pass(Rig *r) {
        g_autofree char *path = rig_path(r, "notify"), *pid = g_strdup_printf("%d", (int) getpid()),
                        *count = g_strdup_printf("%u", 1 + r->kept->len);
        g_autoptr(GString) names = g_string_new("launch");
        int launch = fcntl(r->launch, F_DUPFD, PARK);

        for (guint i = 0; i < r->kept->len; i++)
                g_array_index(r->kept, Kept, i).fd = fcntl(g_array_index(r->kept, Kept, i).fd, F_DUPFD, PARK);
        (void) dup2(launch, 3);
        for (guint i = 0; i < r->kept->len; i++) {
                (void) dup2(g_array_index(r->kept, Kept, i).fd, (int) (4 + i));
                g_string_append_printf(names, ":%s", g_array_index(r->kept, Kept, i).name);
                (void) close(g_array_index(r->kept, Kept, i).fd);
        }
        (void) close(launch);
        (void) setenv("LISTEN_FDS", count, 1);
        (void) setenv("LISTEN_FDNAMES", names->str, 1);
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("NOTIFY_SOCKET", path, 1);
}
