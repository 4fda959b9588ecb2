/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>
#include <systemd/sd-event.h>

/* Waits for the end of one child process and reaps it. */
struct child_watch;

#define CHILD_WATCH_RETRY_USEC (100U * 1000U)

/* Called once, when the child is reaped; may free the watch. */
typedef void (*child_watch_t)(void *userdata, const siginfo_t *info);

/* pidfd is borrowed and must stay open as long as the watch. */
int child_watch_new(sd_event *event, int pidfd, child_watch_t callback, void *userdata, struct child_watch **ret);

/* Takes NULL, returns NULL. */
struct child_watch *child_watch_free(struct child_watch *watch);
