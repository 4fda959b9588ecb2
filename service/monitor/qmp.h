/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

/* The one client of QEMU's control socket. Nothing here ends the VM: a peer that is silent or talks nonsense only
 * costs the connection. */
struct qmp;

#define QMP_LINE_MAX (1024U * 1024U)
#define QMP_PENDING_MAX 32U
#ifndef QMP_GREETING_USEC                      /* a test has less time */
#define QMP_GREETING_USEC (60ULL * 1000000ULL) /* from the start of QEMU to its greeting and capabilities */
#define QMP_REPLY_USEC (10ULL * 1000000ULL)
#endif

struct qmp_ops {
        /* Commands can be executed from now on. */
        void (*ready)(void *userdata);
        void (*event)(void *userdata, const char *name, const json_t *data);
        /* The connection is over, all pending commands have failed; called once, not from qmp_free(). -ETIMEDOUT: no
         * greeting in time; -ECONNRESET: the other end closed; -EBADMSG, -EMSGSIZE: not QMP. */
        void (*gone)(void *userdata, int error);
};

/* error 0 and the "return" value (borrowed), or a negative errno and a text: -EREMOTEIO refused by QEMU, -ETIMEDOUT,
 * -ECONNRESET the connection ended. */
typedef void (*qmp_reply_t)(void *userdata, int error, const char *text, const json_t *value);

/* fd is taken in any case. */
int qmp_new(sd_event *event, int fd, const struct qmp_ops *ops, void *userdata, struct qmp **ret);

/* Pending replies are dropped without a call. Takes NULL, returns NULL. */
struct qmp *qmp_free(struct qmp *qmp);

/* Whether commands can be executed. */
bool qmp_is_ready(const struct qmp *qmp);

/* Sends a command; the reference of arguments is taken, also on failure (NULL: none). reply may be NULL. -ENOTCONN,
 * -EBUSY when too many are pending. */
int qmp_execute(struct qmp *qmp, const char *command, json_t *arguments, qmp_reply_t reply, void *userdata);

/* The same with a descriptor, which is taken in any case; one at a time: -EBUSY while another one waits for the socket. */
int qmp_execute_fd(
        struct qmp *qmp, const char *command, json_t *arguments, int fd, qmp_reply_t reply, void *userdata);

/* Reads what is left after QEMU's end, so that its last events are not missed. */
void qmp_drain(struct qmp *qmp);
