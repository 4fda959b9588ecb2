/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "authz/authority.h"
#include "bus/told.h"
#include "core/runtime.h"

/* The front: objects, vtables, signals on one connection to the system bus. */

#define BUS_NAME "org.mcp.Runtime1"
#define BUS_ROOT "/org/mcp/Runtime1"
#define BUS_INTERFACE(name) "org.mcp.Runtime1." name

/* Who a connection is. */
typedef struct Caller {
        uint32_t uid, pid;
        bool asked; /* systemd, for the unit */
        char *unit; /* once it was told, for audit lines */
} Caller;

typedef struct Bus {
        sd_bus *bus;
        sd_event *event;
        Authority *authority;
        Runtime *runtime;    /* set before bus_export() */
        GHashTable *callers; /* unique name -> Caller; a unique name is never given twice (D-Bus specification 0.41,
                             "Unique names") */
        GHashTable *changes; /* path -> Changes, borrowed; this and the next line's are of signals.c */
        GPtrArray *changed, *arrivals, *departures;
        sd_event_source *flush;
        GHashTable *questions; /* see questions.h */
        GHashTable *leavers;   /* unique name -> GPtrArray of Leaver, borrowed; see leavers.h */
        sd_bus_slot *leavers_match;
        bool loaded;          /* what comes now is new; before that it is what the records have */
        bool announced;       /* we have the name; what changed before that is said then */
        bool reviewing;       /* it is being said */
        Told *told;           /* owned; NULL without */
        GPtrArray *calls;     /* Call under way, borrowed */
        GPtrArray *streams;   /* LogStream, owned */
        GPtrArray *waits;     /* VM.Wait calls under way, owned */
        GHashTable *watchers; /* job id -> unique names that hear its log */
} Bus;

Bus *bus_new(sd_event *event, sd_bus *bus, Authority *authority);
Bus *bus_free(Bus *b);

/* For runtime_new(); userdata is the Bus. */
extern const Observer bus_observer;

/* Registers all objects; before the name is requested. */
int bus_export(Bus *b);

/* Paths; the caller frees (free()). */
char *bus_vm_path(const char *name);
char *bus_vm_name(const char *path); /* of a VM's path; else NULL */
char *bus_job_path(const Job *job);
/* The job of that path, or NULL. */
Job *bus_job_of(Bus *b, const char *path);
char *bus_image_path(const Image *image);
char *bus_network_path(const char *name);
char *bus_profile_path(const char *name);

/* "/" where there is none; the caller frees (g_free()). */
char *bus_job_subject(const Job *job);

/* Full name of a finished job's error, "" without; valid until the next call. */
const char *bus_job_error(const Job *job);

/* LogMessage to the owner's and root's connections that watch the job. */
void bus_job_log(Job *job, int level, const char *text, void *userdata);

void bus_watch_job(Bus *b, const Job *job, sd_bus_message *m);

/* VM.Wait calls: those whose state was reached are answered; all of a VM that goes. */
void vm_waits_look(Bus *b, VM *vm);
void vm_waits_end(Bus *b, VM *vm);

/* The Bus behind a VM, Job or Image. */
static inline Bus *bus_of(Runtime *rt) {
        return rt->observer_data;
}

/* Head of a property's getter (sd_bus_property_get_t); its body appends to `reply` from `userdata`. */
#define BUS_GETTER(function)                                                                                           \
        static int function(sd_bus *bus, const char *path, const char *interface, const char *property,                \
                sd_bus_message *reply, void *userdata, sd_bus_error *error)

/* The vtables of each file. */
extern const sd_bus_vtable manager_vtable[], vm_vtable[], job_vtable[], image_vtable[], network_vtable[],
        profile_vtable[];
