/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* systemd's manager, asynchronously: units by RestartUnit, StopUnit, KillUnit, and the dynamic user behind a uid. */
typedef struct Systemd Systemd;

Systemd *systemd_new(sd_bus *bus);
Systemd *systemd_free(Systemd *s);

/* Called once: r is 0, or a negative errno with a text for people (borrowed). */
typedef void (*SystemdDone)(int r, const char *text, void *userdata);

/* A verb under way; systemd_call_free() forgets it, its callback is then not called. What systemd does goes on. */
typedef struct SystemdCall SystemdCall;
SystemdCall *systemd_call_free(SystemdCall *c);

/* Starts a unit that does not run, or joins a start that is under way; done when systemd's job ended (Type=notify: READY=1
 * was said). -EIO when the job failed, -ECANCELED when another job replaced it, -EACCES when polkit refused. */
int systemd_start(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret);

/* The same, whatever is left of its last run. */
int systemd_start_anew(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret);

/* Stops the unit; done when it is inactive. A unit that is not loaded counts as stopped. systemd hears of it when this turn's
 * signals are sent, or before the next call here, so that what is asked for one unit is asked in this order. */
int systemd_stop(Systemd *s, const char *unit, SystemdDone done, void *userdata, SystemdCall **ret);

/* The same with nobody waiting for the answer; a refusal is logged. */
void systemd_stop_and_forget(Systemd *s, const char *unit);

void systemd_restart_and_forget(Systemd *s, const char *unit);

/* The loaded units that match a glob: name -> ActiveState ("active", "activating", "deactivating", "inactive", "failed").
 * Called once, borrowed; NULL where systemd does not tell. */
typedef void (*SystemdUnitsFound)(GHashTable *units, void *userdata);
int systemd_list(Systemd *s, const char *pattern, SystemdUnitsFound found, void *userdata, sd_bus_slot **ret);

/* A process of the unit was seen; all units that may be of ours, as systemd_list() has found them. Whether one may have a process
 * of an earlier run, which is to be asked and stopped before the unit starts (known-units.h). */
void systemd_saw(Systemd *s, const char *unit);
void systemd_listed(Systemd *s, GHashTable *units);
bool systemd_may_run(const Systemd *s, const char *unit);

/* Sets properties of the unit, all of type t, until the host's next boot; a unit that does not run has them when it
 * does. names and values: n of each, borrowed. */
int systemd_set_properties(Systemd *s, const char *unit, const char *const *names, const uint64_t *values, size_t n,
        SystemdDone done, void *userdata, SystemdCall **ret);

/* Kills every process of the unit; a refusal is logged. For what does not listen to systemd_stop(). */
void systemd_kill_and_forget(Systemd *s, const char *unit);

/* Looks up which dynamic user has a uid; name is NULL where r is negative. */
typedef void (*SystemdUserFound)(int r, const char *name, void *userdata);
int systemd_lookup_user(Systemd *s, uint32_t uid, SystemdUserFound found, void *userdata, sd_bus_slot **ret);
