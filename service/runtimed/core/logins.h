/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"

/*
 * Who is logged in where: for each uid and registry a sealed memfd with an auth file (containers-auth.json(5)) of that
 * one registry. systemd's descriptor store keeps it while the daemon is away; nothing of it is ever in a file, a
 * property, an argument or a log. It is gone at Logout, when the service is stopped, and with the host's boot.
 */

#define LOGINS_PER_USER_MAX 16U
#define LOGINS_MAX 256U
#define LOGIN_USER_MAX 255U

Logins *logins_new(Runtime *rt);
void logins_free(Logins *c);

/* Takes what systemd kept; what is no login of ours is dropped. */
void logins_restore(Logins *c);

/* Whether user may log in at registry: InvalidSpec, QuotaExceeded. */
int logins_check(Logins *c, uint32_t uid, const char *registry, const char *user, Problem **ret_problem);

/* Reads the password from fd (taken, see secret.h) and keeps it. done is called once, also when the daemon ends. */
typedef struct LoginRead LoginRead;
int logins_add(Logins *c, uint32_t uid, const char *registry, const char *user, int fd, WaiterDone done, void *userdata,
        LoginRead **ret, Problem **ret_problem);
LoginRead *login_cancel(LoginRead *l);

/* InvalidSpec where there is no such login. */
int logins_remove(Logins *c, uint32_t uid, const char *registry, Problem **ret_problem);

/* The auth file of a login, a descriptor of its own; -ENOENT without. */
int logins_open(Logins *c, uint32_t uid, const char *registry);
