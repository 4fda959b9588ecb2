/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "model/problem.h"

/* A secret that a caller passes by descriptor: a pipe or a socket, read to its end without ever waiting for it. */
typedef struct Secret Secret;

#define SECRET_MAX 4096U
#define SECRET_USEC (30ULL * 1000000ULL)

/* Pipes and sockets only: a file may be on a file system that never answers. */
bool secret_fd_is_readable(int fd);

/* Once: the bytes (wiped afterwards), or a problem; the Secret is gone after it. Never from within secret_read(). */
typedef void (*SecretDone)(const char *secret, size_t len, const Problem *problem, void *userdata);

/* fd is taken, whatever the result. */
int secret_read(sd_event *event, int fd, SecretDone done, void *userdata, Secret **ret);

/* Forgets it; NULL is fine, returns NULL. */
Secret *secret_cancel(Secret *s);
