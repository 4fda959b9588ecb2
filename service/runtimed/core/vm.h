/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/job.h"
#include "model/metric.h"
#include "model/record.h"
#include "model/spec-payload.h"

/*
 * A VM: its record, what is known of its boot, and its verbs. State changes go through vm_set_state() alone.
 * A VM whose record could not be read has record NULL: it is failed, and Remove is all it can do.
 */

typedef struct Boot Boot;
typedef struct Publication Publication;

struct VM {
        Runtime *runtime;
        char *name;
        VMRecord *record;      /* NULL: broken */
        char *broken;          /* why */
        uint32_t broken_owner; /* what could be read of it; 0 otherwise */
        uint32_t generation;   /* changes with every change of the record's wish; looked at again after a question */
        bool ready;
        VMHealth health;
        bool wait_ready;                       /* the start's job is done when it is ready */
        bool unhealthy_end;                    /* it is being ended for its health: no end that somebody asked for */
        Metrics metrics;
        uint64_t memory_target, memory_actual; /* bytes, 0 while it does not run; see memory.h */
        uint32_t main_pid;                     /* of QEMU, 0 when none */
        uint64_t running_since;                /* CLOCK_MONOTONIC: when that was executed; 0: it does not run */
        bool awaited;                          /* active by its record, its monitor has not come back yet */
        Helper *monitor;
        Helper *passt;            /* these three are user-network.c's */
        Publication *publication; /* of other ports, under way */
        uint16_t *picked_ports;
        Helper *tpm;
        void (*tpm_done)(VM *vm, const Problem *problem); /* waits for it; see core/tpm.h */
        Boot *boot;                                       /* while it starts */
        Job *job;                                         /* the one job under way, or NULL */
        bool remove_wanted;                               /* the job under way ends with the VM's removal */
        bool ending;          /* its unit is being stopped after a boot's end; who connects from it is not heard */
        bool stopped_outside; /* systemd was asked by somebody else to stop the unit: it is systemd's to end */
        bool unit_killed;     /* by us, its monitor did not end it: there will be no exit record */
        SystemdCall *unit_stop;
        sd_event_source *stop_timer; /* the monitor should have been done by then */
        sd_event_source *saver;      /* its record is to be written */
        sd_event_source *boot_timer; /* an adopted guest must be up by then */
        bool end_asked;              /* somebody asked for the end of this boot: no restart by policy */
        sd_event_source *restart;    /* a restart by policy is due */
        bool by_policy;              /* this boot was nobody's request: where it cannot begin it is tried again */
        const char *failure;         /* why this boot has failed, for everybody; static, NULL: it has not */
        SpecPayload payload;  /* credentials, -1: there are none, or they are gone; archives until they are stored */
        bool keep_disks;             /* when it is removed */
        uint64_t storing;     /* bytes that its volumes may come to, while they are made */
        char *guest_error;    /* the guest's own words for it, for the owner */
        GHashTable *requests; /* id -> Request: questions to the monitor that wait for its reply; NULL: there was none */
        uint64_t last_request;
};

/* problem NULL: done (both borrowed). */
typedef void (*VMDone)(const Problem *problem, void *userdata);

/* Defines a VM. The image is resolved among the owner's and pinned by digest; where it is not there and may be pulled,
 * vm_start() does that first. What it needs of the payload is taken. */
int vm_create(Runtime *rt, const char *name, uint32_t owner, const char *owner_name, const VMSpec *spec, bool pull,
        SpecPayload *payload, VM **ret, Problem **ret_problem);

/* What CreateVM checks before it asks anybody: the name and its unit; the same with image and quota. */
int vm_check_name(Runtime *rt, const char *name, Problem **ret_problem);
int vm_check_new(Runtime *rt, const char *name, uint32_t owner, const VMSpec *spec, bool pull, Problem **ret_problem);

/* Its image alone. */
int vm_check_image(Runtime *rt, uint32_t owner, const VMSpec *spec, bool pull, Problem **ret_problem);

/* Whether a VM of that spec would have to pull its image first, and could. */
bool vm_must_pull(Runtime *rt, uint32_t owner, const VMSpec *spec);

/* Whether it waits for its image; without it there is nothing to keep. */
static inline bool vm_is_pulling(const VM *vm) {
        return vm->record->pulling;
}

/* Pulls it, as a part of job up to `to`, and pins it; done is called once, never from within, and not after the cancel.
 */
typedef struct VMPull VMPull;
VMPull *vm_pull(VM *vm, Job *job, double to, WaiterDone done, void *userdata);
VMPull *vm_pull_cancel(VMPull *p);

/* A VM of a record that came from elsewhere (taken), checked by the caller but for its address. */
int vm_add(Runtime *rt, VMRecord *record, VM **ret, Problem **ret_problem);

/* Pins the image that the spec names, where it is there and nothing is pinned yet. */
void vm_record_resolve_image(Runtime *rt, VMRecord *record);

/* A time of the host's clock by CLOCK_MONOTONIC, as far as that clock was not set since; 0: now. */
uint64_t vm_monotonic_of(uint64_t realtime);

/* Microseconds that it has run in this boot, whatever became of the host's clock meanwhile; 0: it does not. */
uint64_t vm_uptime(const VM *vm);

uint32_t vm_owner(const VM *vm);
VMState vm_state(const VM *vm);
const char *vm_state_reason(const VM *vm);
Image *vm_image(VM *vm);

/* Jobs; VMRunning, VMNotRunning, Busy where the state does not allow it. A start takes credentials of the payload,
 * which may be NULL, in place of those that are known; with wait_ready its job is done when the VM is ready, and fails
 * with Timeout when it is not within Ready's StartPeriod. An ephemeral VM whose start fails at once has gone when this
 * returns. */
int vm_start(VM *vm, uint32_t caller, SpecPayload *payload, bool wait_ready, Job **ret, Problem **ret_problem);
int vm_stop(VM *vm, uint32_t caller, uint64_t timeout, Job **ret, Problem **ret_problem);
int vm_remove(VM *vm, uint32_t caller, bool keep_disks, Job **ret, Problem **ret_problem);

/* A start that nobody asked for, see restart.h; the job is the owner's. */
int vm_start_by_policy(VM *vm, Problem **ret_problem);

/* Requests to the monitor: "kill" with signal, "pause", "resume". done is called once, also when the monitor goes. */
int vm_request(VM *vm, const char *type, const char *signal, VMDone done, void *userdata, Problem **ret_problem);

/* A VM gets another spec, checked by the caller; generation and properties follow. One that runs takes other Ports,
 * Restart and Labels; all else is VMRunning. Busy, NoSuchImage, PortInUse. done is called once, at once or when the
 * ports are bound, unless this fails. */
int vm_update(VM *vm, const VMSpec *spec, SpecPayload *payload, VMDone done, void *userdata, Problem **ret_problem);

/* ---- core/credentials.c ---- */

/* InvalidSpec unless names are exactly those of the spec. */
int vm_check_credentials(VM *vm, char **names, Problem **ret_problem);

/* CredentialsMissing where the spec names credentials whose values are gone. */
int vm_need_credentials(const VM *vm, Problem **ret_problem);

/* Takes the payload's values, when there are any: in memory here, and in systemd's descriptor store. */
int vm_take_credentials(VM *vm, SpecPayload *payload, Problem **ret_problem);
void vm_drop_credentials(VM *vm);

/* At the daemon's start: what systemd kept. */
void vm_credentials_restore(VM *vm);

/* Lets a stream socket (borrowed) carry the console's raw bytes; one writes, several read. done as in vm_request(). */
int vm_open_console(VM *vm, int fd, bool write, VMDone done, void *userdata, Problem **ret_problem);

/* Lets a stream socket (borrowed) carry the display, as RFB (VNC). NotSupported for a VM that has none. done as in
 * vm_request(). */
int vm_open_display(VM *vm, int fd, VMDone done, void *userdata, Problem **ret_problem);

/* Disposes of a VM that was never started, without a job. */
void vm_discard(VM *vm);

/* Ends QEMU without asking anybody; the end is told as any other. */
void vm_end_now(VM *vm);

/* Ends it within its StopTimeout, as a failure. */
void vm_end_unhealthy(VM *vm);

/* For boot.c and adoption. */
void vm_job_finish(VM *vm, const Problem *problem); /* the VM's job, where it has one, is over; the VM lives on */
void vm_set_state(VM *vm, VMState state, const char *reason);
void vm_changing(VM *vm, const char *property); /* before the value changes */
void vm_set_ready(VM *vm, bool ready);
void vm_set_health(VM *vm, VMHealth health);
int vm_save(VM *vm);
/* Behind the calls and signals of this turn, which nobody's disk shall hold up: for what the next daemon would find out
 * as this one did. */
void vm_save_soon(VM *vm);
extern const HelperOps vm_monitor_ops;

/* The boot is over: how, and what is left of it. Resources are let go, the state is set, the record is written. words
 * is ours and becomes StateReason, which is public (NULL: by reason and code); detail may be the guest's or QEMU's, and
 * is for the owner's job (NULL: none). */
void vm_ended(VM *vm, ExitReason reason, int code, uint64_t at, const char *words, const char *detail);

/* What a job under way wanted of that. */
void vm_after_end(VM *vm);

/* Bytes that are kept of what a guest or a monitor says. */
#define VM_FOREIGN_TEXT_MAX 512U

/* A time that a monitor tells, microseconds since the epoch: never later than now. One of some far year could be written to the VM's
 * record, and not be read again. */
uint64_t vm_time_told(json_t *message, const char *key);

/* vm_ended() in the words of its monitor, "exited" or the exit record. */
void vm_ended_as_told(VM *vm, ExitReason reason, json_t *end);

/* Has systemd stop the VM's unit; a VM that is stopping and has no monitor has ended then. */
void vm_stop_unit(VM *vm);

/* Stops the VM's unit; who still connects from it is not heard. */
void vm_end_unit(VM *vm);

/* Whether there is an exit record of this boot; then the VM has ended as it says. */
bool vm_end_is_recorded(VM *vm);

/* The same, and "lost" where there is none. */
void vm_ended_by_record(VM *vm);

/* A monitor came back with its state; takes over what it says. */
void vm_adopt(VM *vm, json_t *hello);

/* All that a start would use, without side effects: argv as QEMU would get it (set also where a tool is missing), and
 * the problem that would stop it. */
int vm_describe(Runtime *rt, uint32_t owner, const char *name, const char *uuid, const VMSpec *spec, char ***ret,
        Problem **ret_problem);

char *vm_unit(const VM *vm);
char *vm_passt_unit(const VM *vm);

VM *vm_new(Runtime *rt, const char *name, VMRecord *record);
void vm_free(VM *vm);
