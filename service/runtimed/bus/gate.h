/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "authz/table.h"
#include "bus/bus.h"
#include "core/image.h"
#include "core/job.h"
#include "core/vm.h"

/*
 * The gate: from a message to the verb it asks for. A handler parses its arguments into one immutable request and calls
 * call_begin(). The gate learns the caller's uid, asks the row's action and those the plan adds, in order, and then
 * runs. Nothing else is kept across the questions; the object is looked up again by identity. A caller that leaves is
 * forgotten.
 */

typedef struct Call Call;

/* Replies to call->message, or returns a negative errno or sets the error. */
typedef int (*CallRun)(Call *c, sd_bus_error *error);

struct Call {
        Bus *bus;
        sd_bus_message *message;
        const AuthRow *row;
        uint32_t uid, pid; /* of the caller; pid for the audit line only */
        uint32_t owner;    /* of the subject; the caller where there is none yet */
        enum { SUBJECT_NONE, SUBJECT_VM, SUBJECT_JOB, SUBJECT_IMAGE } subject;
        char *vm_name, *vm_uuid; /* SUBJECT_VM; uuid "" for a broken record */
        uint32_t generation;
        uint32_t job;   /* SUBJECT_JOB */
        char *image_id; /* SUBJECT_IMAGE */
        void *request;  /* parsed arguments */
        GDestroyNotify request_free;
        CallRun plan; /* or NULL: checks the request once the uid is known, and adds actions; replies to nothing */
        CallRun run;
        const char *actions[AUTH_EXTRA_MAX + 2]; /* without prefix, static */
        size_t n_actions, asked;
        char *detail_path, *detail_image, *detail_network, *detail_ports, *detail_profile; /* shown with the question */
        AuthorityQuestion *question;
        struct Leaver *leaver;
        sd_bus_slot *lookup;
};

/* A new call for the method that m calls on interface (without prefix); subject members are set by the call_* below. */
Call *call_new(
        Bus *b, sd_bus_message *m, const char *interface, void *request, GDestroyNotify request_free, CallRun run);
void call_set_vm(Call *c, const VM *vm);
void call_set_job(Call *c, const Job *job);
void call_set_image(Call *c, const Image *image);

/* Adds an action to those asked; twice is once. */
void call_add_action(Call *c, const char *action);

/* Takes the call. Returns 1 (answered later) or sets the error. */
int call_begin(Call *c, sd_bus_error *error);

/* The subject as it is now: NoSuchVM, Stale, NoSuchJob, NoSuchImage. */
int call_vm(Call *c, VM **ret, sd_bus_error *error);
/* The same, and NotSupported where its record is broken. */
int call_whole_vm(Call *c, VM **ret, sd_bus_error *error);
int call_job(Call *c, Job **ret, sd_bus_error *error);
int call_image(Call *c, Image **ret, sd_bus_error *error);

/* A verb's problem as the bus error; returns a negative errno. */
int bus_error_problem(sd_bus_error *error, const Problem *problem);
int bus_error_named(sd_bus_error *error, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);
