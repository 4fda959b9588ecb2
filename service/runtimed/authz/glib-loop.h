/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

/* Runs an sd-event loop inside GLib's main loop, which polkit-gobject needs: sd_event_get_fd(3), "Integration in the
 * GLib event loop". Returns the exit code of sd_event_exit(), or a negative errno. */
int event_loop_with_glib(sd_event *event);
