/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "core/waiter.h"
#include "launch/fd-store.h"
#include "launch/helper.h"
#include "launch/netd.h"
#include "launch/systemd.h"
#include "store/store.h"

/*
 * The core: all VMs, images and jobs, and what the bus is told of them. Nothing here sees a message; each verb takes
 * plain values and answers with a Problem. One thread, one owner: the Runtime.
 */

typedef struct Runtime Runtime;
typedef struct VM VM;
typedef struct Job Job;
typedef struct Image Image;
typedef struct Network Network;
typedef struct Builds Builds;
typedef struct Logins Logins;
typedef struct Profile Profile;

/* What the bus wants to know; every member is set. property is a name of the interface, static; *_changing is called
 * before its value changes, and may be called where it stays. */
typedef struct Observer {
        void (*vm_new)(VM *vm, void *userdata);
        void (*vm_removed)(VM *vm, void *userdata);
        void (*vm_changing)(VM *vm, const char *property, void *userdata);
        void (*vm_state)(VM *vm, void *userdata); /* it has a new state */
        void (*job_new)(Job *job, void *userdata);
        void (*job_changing)(Job *job, const char *property, void *userdata);
        void (*job_log)(Job *job, int level, const char *text, void *userdata);
        void (*job_finished)(Job *job, void *userdata);
        void (*job_gone)(Job *job, void *userdata);
        void (*image_new)(Image *image, void *userdata);
        void (*image_changing)(Image *image, const char *property, void *userdata);
        void (*image_removed)(Image *image, void *userdata);
        void (*network_new)(Network *network, void *userdata);
        void (*network_changing)(Network *network, const char *property, void *userdata);
        void (*network_removed)(Network *network, void *userdata);
        void (*profile_changing)(Profile *profile, const char *property, void *userdata);
        void (*runtime_changing)(const char *property, void *userdata);
} Observer;

struct Runtime {
        const Config *config;
        SpecLimits limits;
        sd_event *event;
        Store *store;
        Systemd *systemd;
        Launch *launch;
        FdStore *fd_store; /* borrowed */
        Netd *netd;
        const Observer *observer;
        void *observer_data;
        char *host_boot; /* the kernel's boot_id */

        GHashTable *vms;       /* name -> VM, owned */
        GHashTable *instances; /* unit instance -> VM, borrowed */
        GHashTable *images;    /* "UID/HEX" -> Image, owned */
        GPtrArray *metrics;  /* of metrics.c: questions under way */
        GPtrArray *settings;   /* of limits.c: calls of systemd under way */
        GHashTable *jobs;      /* id -> Job, owned */
        GHashTable *networks;  /* name -> Network, owned */
        GHashTable *initrds;   /* cache key -> InitrdBuild under way, see core/initrd.h */
        Builds *builds;        /* the line in front of the workers */
        GPtrArray *cleans;     /* Clean, owned; NULL before the first */
        struct Profiles *profiles; /* see core/profile.h */
        uint32_t last_job;
        Logins *logins;
        uint32_t last_work, last_fetch;
        bool netd_remembered, netd_awaited; /* the latter: its first session since our start is not over */
        struct Users *users;         /* see core/users.h */
        GPtrArray *unclean;          /* names of VMs whose directories were not cleaned yet */
        sd_event_source *cleaner;    /* looks who owns what, then cleans one of them a turn, when there is nothing else to do */
        struct Reconciliation *pass; /* the one under way, see core/reconcile.h */
        sd_event_source *grace;      /* VMs whose monitors have not come back are lost when it fires */

        enum { KVM_UNKNOWN, KVM_PROBING, KVM_USABLE, KVM_UNUSABLE } kvm;
        char *kvm_text; /* why */
        Helper *kvm_probe;
        GPtrArray *kvm_waiters;
};

/* How long monitors have to come back after the daemon's start. */
#define RUNTIME_GRACE_USEC (10ULL * G_USEC_PER_SEC)

/* Opens the store. systemd, launch and fd_store are set by the daemon before runtime_load(). */
int runtime_new(sd_event *event, const Config *config, const Observer *observer, void *observer_data, Runtime **ret);
Runtime *runtime_free(Runtime *rt);

/* Reads all records; the observers are told of each object. Starts the grace time for active VMs. */
void runtime_load(Runtime *rt);

/* A connection of a unit that nobody started here: for launch_new(). */
void runtime_stranger(const char *unit, json_t *hello, void *userdata);

/* Whether a monitor that should be there has not come back yet. */
bool runtime_awaits_monitors(Runtime *rt);

VM *runtime_find_vm(Runtime *rt, const char *name);
VM *runtime_find_vm_by_uuid(Runtime *rt, const char *uuid);
Job *runtime_find_job(Runtime *rt, uint32_t id);
uint32_t runtime_count_running(Runtime *rt);

/* Whether guests run under KVM: waits for the probe where it is not known. Afterwards rt->kvm and rt->kvm_text tell.
 * done NULL: only begins the probe. *ret is NULL when done was called at once. */
void runtime_probe_kvm(Runtime *rt, WaiterDone done, void *userdata, Waiter **ret);
