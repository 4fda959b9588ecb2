/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the QMP connection: greeting, capabilities, commands matched to replies by id, events, time limits. */
#include "monitor/qmp.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "monitor/line-buffer.h"
#include "monitor/text.h"
#include "shared/fd.h"

#define OUTPUT_MAX (64U * 1024U)
#define READ_SIZE (16U * 1024U)

enum qmp_phase { QMP_GREETING, QMP_CAPABILITIES, QMP_READY, QMP_GONE };

struct pending {
        json_int_t id; /* 0: free */
        uint64_t deadline;
        qmp_reply_t reply;
        void *userdata;
};

struct qmp {
        int fd;
        enum qmp_phase phase;
        const struct qmp_ops *ops;
        void *userdata;
        sd_event_source *io, *timer;
        uint64_t greeting_deadline;
        json_int_t last_id;
        struct pending pending[QMP_PENDING_MAX];
        struct line_buffer in;
        char *out;
        size_t out_len;
        int passed;       /* a descriptor that waits for its command's turn, or -1 */
        size_t passed_at; /* where that command begins in out */
};

bool qmp_is_ready(const struct qmp *qmp) {
        return qmp && qmp->phase == QMP_READY;
}

static void fail_pending(struct qmp *qmp, struct pending *p, int error, const char *text) {
        struct pending old = *p;

        *p = (struct pending) {};
        if (old.reply)
                old.reply(old.userdata, error, text, NULL);
}

static void end_connection(struct qmp *qmp, int error) {
        if (qmp->phase == QMP_GONE)
                return;
        qmp->phase = QMP_GONE;
        qmp->io = sd_event_source_disable_unref(qmp->io);
        qmp->timer = sd_event_source_disable_unref(qmp->timer);
        qmp->fd = close_fd(qmp->fd);
        qmp->passed = close_fd(qmp->passed);
        line_buffer_done(&qmp->in);
        qmp->out_len = 0;
        for (size_t i = 0; i < QMP_PENDING_MAX; i++)
                if (qmp->pending[i].id != 0)
                        fail_pending(qmp, &qmp->pending[i], -ECONNRESET, "QEMU's control connection ended");
        qmp->ops->gone(qmp->userdata, error);
}

static void arm_timer(struct qmp *qmp) {
        uint64_t next = qmp->phase < QMP_READY ? qmp->greeting_deadline : UINT64_MAX;

        for (size_t i = 0; i < QMP_PENDING_MAX; i++)
                if (qmp->pending[i].id != 0 && qmp->pending[i].deadline < next)
                        next = qmp->pending[i].deadline;
        (void) sd_event_source_set_time(qmp->timer, next);
        (void) sd_event_source_set_enabled(qmp->timer, next == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct qmp *qmp = userdata;
        uint64_t now = now_monotonic();

        if (qmp->phase < QMP_READY && now >= qmp->greeting_deadline) {
                end_connection(qmp, -ETIMEDOUT);
                return 0;
        }
        for (size_t i = 0; i < QMP_PENDING_MAX; i++)
                if (qmp->pending[i].id != 0 && now >= qmp->pending[i].deadline)
                        fail_pending(qmp, &qmp->pending[i], -ETIMEDOUT, "QEMU did not answer in time");
        arm_timer(qmp);
        return 0;
}

/* Sends what is queued, up to a command with a descriptor; that one begins with it. */
static ssize_t send_some(struct qmp *qmp) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        struct iovec iov = {.iov_base = qmp->out, .iov_len = qmp->out_len};
        struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n;

        if (qmp->passed >= 0 && qmp->passed_at > 0)
                iov.iov_len = qmp->passed_at;
        else if (qmp->passed >= 0) {
                memcpy(CMSG_DATA(&control.header), &qmp->passed, sizeof(int));
                message.msg_control = &control;
                message.msg_controllen = sizeof control.space;
        }
        n = sendmsg(qmp->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0 && message.msg_control)
                qmp->passed = close_fd(qmp->passed);
        else if (n > 0 && qmp->passed >= 0)
                qmp->passed_at -= (size_t) n;
        return n;
}

/* Writes what is queued as far as the socket takes it. */
static int push_output(struct qmp *qmp) {
        while (qmp->out_len > 0) {
                ssize_t n = send_some(qmp);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                break;
                        return -errno;
                }
                qmp->out_len -= (size_t) n;
                memmove(qmp->out, qmp->out + n, qmp->out_len);
        }
        return sd_event_source_set_io_events(qmp->io, qmp->out_len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static struct pending *find_pending(struct qmp *qmp, json_int_t id) {
        for (size_t i = 0; i < QMP_PENDING_MAX; i++)
                if (qmp->pending[i].id == id)
                        return &qmp->pending[i];
        return NULL;
}

/* fd (-1: none) is taken when the command is. */
static int send_command(
        struct qmp *qmp, const char *command, json_t *arguments, int fd, qmp_reply_t reply, void *userdata) {
        struct pending *slot = find_pending(qmp, 0);
        json_t *message;
        char *text;
        size_t len;

        message = json_pack("{s:s, s:I}", "execute", command, "id", qmp->last_id + 1);
        if (arguments)
                (void) json_object_set_new(message, "arguments", arguments);
        text = message ? json_dumps(message, JSON_COMPACT) : NULL;
        json_decref(message);
        if (!text)
                return -ENOMEM;
        len = strlen(text);
        if (!slot || qmp->out_len + len + 1 > OUTPUT_MAX) {
                free(text);
                return -EBUSY;
        }
        if (!qmp->out)
                qmp->out = malloc(OUTPUT_MAX);
        if (!qmp->out) {
                free(text);
                return -ENOMEM;
        }
        if (fd >= 0) {
                qmp->passed = fd;
                qmp->passed_at = qmp->out_len;
        }
        memcpy(qmp->out + qmp->out_len, text, len);
        qmp->out[qmp->out_len + len] = '\n';
        qmp->out_len += len + 1;
        free(text);
        *slot = (struct pending) {
                .id = ++qmp->last_id, .deadline = now_monotonic() + QMP_REPLY_USEC, .reply = reply, .userdata = userdata};
        arm_timer(qmp);
        /* A socket that refuses is seen again by the reader, which then ends the connection. */
        (void) push_output(qmp);
        return 0;
}

int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, qmp_reply_t reply, void *userdata) {
        if (!qmp_is_ready(qmp)) {
                json_decref(arguments);
                return -ENOTCONN;
        }
        return send_command(qmp, command, arguments, -1, reply, userdata);
}

int qmp_execute_fd(
        struct qmp *qmp, const char *command, json_t *arguments, int fd, qmp_reply_t reply, void *userdata) {
        int r = !qmp_is_ready(qmp) ? -ENOTCONN : qmp->passed >= 0 ? -EBUSY : 0;

        if (r < 0)
                json_decref(arguments);
        else
                r = send_command(qmp, command, arguments, fd, reply, userdata);
        if (r < 0)
                (void) close_fd(fd);
        return r;
}

static void on_capabilities(void *userdata, int error, const char *text, const json_t *value) {
        struct qmp *qmp = userdata;

        if (qmp->phase != QMP_CAPABILITIES)
                return;
        if (error < 0) {
                end_connection(qmp, error == -ETIMEDOUT ? error : -EBADMSG);
                return;
        }
        qmp->phase = QMP_READY;
        arm_timer(qmp);
        qmp->ops->ready(qmp->userdata);
}

static void handle_reply(struct qmp *qmp, const json_t *message, const json_t *error) {
        const json_t *id = json_object_get(message, "id");
        struct pending *p = json_integer_value(id) > 0 ? find_pending(qmp, json_integer_value(id)) : NULL;
        struct pending old;
        char text[TEXT_MAX + 1];

        /* A late reply, after its time limit, finds nobody. */
        if (!p)
                return;
        old = *p;
        *p = (struct pending) {};
        arm_timer(qmp);
        if (!old.reply)
                return;
        if (error) {
                const json_t *desc = json_object_get(error, "desc");

                text_clean(text, json_is_string(desc) ? json_string_value(desc) : "", json_string_length(desc));
                old.reply(old.userdata, -EREMOTEIO, text[0] ? text : "QEMU refused", NULL);
        } else
                old.reply(old.userdata, 0, NULL, json_object_get(message, "return"));
}

static int handle_line(struct qmp *qmp, const char *line, size_t len) {
        json_t *message = json_loadb(line, len, 0, NULL);
        const json_t *name = json_object_get(message, "event"), *error = json_object_get(message, "error");
        int r = 0;

        if (!json_is_object(message))
                r = -EBADMSG;
        else if (qmp->phase == QMP_GREETING) {
                if (json_is_object(json_object_get(message, "QMP"))) {
                        qmp->phase = QMP_CAPABILITIES;
                        r = send_command(qmp, "qmp_capabilities", NULL, -1, on_capabilities, qmp);
                } else
                        r = -EBADMSG;
        } else if (json_is_string(name))
                qmp->ops->event(qmp->userdata, json_string_value(name), json_object_get(message, "data"));
        else if (json_is_object(error) || json_object_get(message, "return"))
                handle_reply(qmp, message, error);
        json_decref(message);
        return r;
}

static int handle_lines(struct qmp *qmp) {
        const char *line;
        size_t len;

        while (qmp->phase != QMP_GONE && (line = line_buffer_next(&qmp->in, &len))) {
                int r;

                while (len > 0 && line[len - 1] == '\r')
                        len--;
                if (len == 0)
                        continue;
                r = handle_line(qmp, line, len);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Reads once. Returns 1 when there may be more. */
static int read_some(struct qmp *qmp) {
        char buf[READ_SIZE];
        ssize_t n = recv(qmp->fd, buf, sizeof buf, MSG_DONTWAIT);
        int r;

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ECONNRESET;
        r = line_buffer_add(&qmp->in, buf, (size_t) n, QMP_LINE_MAX);
        if (r >= 0)
                r = handle_lines(qmp);
        return r < 0 ? r : qmp->phase != QMP_GONE;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct qmp *qmp = userdata;
        int r = 0;

        if (revents & EPOLLOUT)
                r = push_output(qmp);
        if (r >= 0 && (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                r = read_some(qmp);
        if (r < 0)
                end_connection(qmp, r);
        return 0;
}

void qmp_drain(struct qmp *qmp) {
        int r = 1;

        while (qmp && qmp->phase != QMP_GONE && r > 0)
                r = read_some(qmp);
        if (qmp && r < 0)
                end_connection(qmp, r);
}

int qmp_new(sd_event *event, int fd, const struct qmp_ops *ops, void *userdata, struct qmp **ret) {
        struct qmp *qmp = calloc(1, sizeof *qmp);
        int r;

        if (!qmp) {
                (void) close_fd(fd);
                return -ENOMEM;
        }
        *qmp = (struct qmp) {
                .fd = fd, .passed = -1, .ops = ops, .userdata = userdata, .greeting_deadline = now_monotonic() + QMP_GREETING_USEC};
        r = sd_event_add_io(event, &qmp->io, fd, EPOLLIN, on_io, qmp);
        if (r >= 0)
                r = sd_event_add_time(event, &qmp->timer, CLOCK_MONOTONIC, qmp->greeting_deadline, 0, on_timer, qmp);
        if (r < 0) {
                qmp_free(qmp);
                return r;
        }
        *ret = qmp;
        return 0;
}

struct qmp *qmp_free(struct qmp *qmp) {
        if (!qmp)
                return NULL;
        sd_event_source_disable_unref(qmp->io);
        sd_event_source_disable_unref(qmp->timer);
        (void) close_fd(qmp->fd);
        (void) close_fd(qmp->passed);
        line_buffer_done(&qmp->in);
        free(qmp->out);
        free(qmp);
        return NULL;
}
