/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "launch/systemd.h"

/*
 * Helpers: instances of template units, each with one connection to the launch socket (shared/launch-wire.h). A Helper
 * is one run of one unit: it starts the unit, answers its first hello with the launch message, hands messages up, and
 * says the end once. Who connects is known by the uid of the connection and systemd's dynamic user of that uid.
 */

typedef struct Launch Launch;
typedef struct Helper Helper;

/* A connection from a unit that no Helper waits for: a monitor that outlived a daemon, or a unit started by hand. The
 * handler may helper_adopt() it; else it is told goodbye. hello is borrowed. */
typedef void (*LaunchStranger)(const char *unit, json_t *hello, void *userdata);

/* fd: the listening socket, taken. NULL without memory. */
Launch *launch_new(sd_event *event, Systemd *systemd, int fd, LaunchStranger stranger, void *userdata);
Launch *launch_free(Launch *l);

typedef struct HelperOps {
        /* A message of the helper, borrowed. May free the helper. */
        void (*message)(Helper *h, json_t *message, void *userdata);
        /* Once: the unit did not start (r < 0, with text), or its connection ended (r == 0). May free the helper. */
        void (*end)(Helper *h, int r, const char *text, void *userdata);
} HelperOps;

/* Starts UNIT ("mcp-vm@web.service"), which waits for its helper_launch(). */
int helper_prepare(Launch *l, const char *unit, const HelperOps *ops, void *userdata, Helper **ret);

/* Both at once. message: the launch message without "fds", reference taken; fds and their names (n of each) are taken,
 * closed when sent. names are static or interned strings. */
int helper_start(Launch *l, const char *unit, json_t *message, int *fds, const char *const *names, size_t n,
        const HelperOps *ops, void *userdata, Helper **ret);

/* Only within LaunchStranger: makes the connection a Helper of its own. One that came with a first hello gets its
 * launch message by helper_launch(). */
int helper_adopt(Launch *l, const HelperOps *ops, void *userdata, Helper **ret);

/* The launch message for a helper that was prepared or adopted, once: sent now or as soon as it has connected. Takes
 * the same as helper_start(). */
int helper_launch(Helper *h, json_t *message, int *fds, const char *const *names, size_t n);

/* Whether a unit is an instance of a helper's template; whether there is a Helper of that unit. */
bool launch_is_helper(const char *unit);
bool launch_runs(const Launch *l, const char *unit);

const char *helper_unit(const Helper *h);
bool helper_is_connected(const Helper *h);

/* Sends; takes the reference. -ENOTCONN before the connection, -EAGAIN when the helper does not read. */
int helper_send(Helper *h, json_t *message);

/* The same with one descriptor, borrowed. */
int helper_send_fd(Helper *h, json_t *message, int fd);

/* The same with several; message is borrowed as well. */
int helper_send_fds(Helper *h, json_t *message, const int *fds, size_t n);

/* Stops the unit; done once it is inactive (or systemd refused). The end is still said when the connection ends. */
int helper_stop(Helper *h, SystemdDone done, void *userdata);

/* Tells one that waits for its orders that there are none, and forgets it. */
Helper *helper_dismiss(Helper *h);

/* Forgets the run and closes its connection; says nothing more. The unit is left alone. */
Helper *helper_free(Helper *h);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Helper, helper_free)
