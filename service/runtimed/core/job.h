/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/runtime.h"
#include "model/state.h"

/* What takes time: an object with owner, progress, a log and one end. It stays for JOB_GRACE_USEC after it. */

#define JOB_GRACE_USEC (60ULL * G_USEC_PER_SEC)
#define JOB_LOG_MAX 200U
#define JOB_LOG_TEXT_MAX 1024U
#define JOB_STAGE_MAX 64U
#define JOB_PROGRESS_USEC (100ULL * 1000ULL) /* at most ten progress signals a second */

typedef struct JobLogLine {
        uint64_t time;
        uint32_t level;
        char *text;
} JobLogLine;

typedef struct BuildPlace BuildPlace;

struct Job {
        Runtime *runtime;
        uint32_t id;
        const char *kind; /* static: "start" "stop" "remove" "import" "pull" "push" "verify" */
        uint32_t owner;
        char *owner_name;    /* "" unknown; see core/owners.h */
        char *vm;            /* the subject: a VM's name, or */
        char *image;         /* an image's reference while it is made, */
        char *image_id;      /* and "UID/HEX" once it is there */
        const char *profile; /* or a profile's name, static */
        uint64_t reserved;   /* bytes that its image may come to, counted as the owner's while it runs */
        JobState state;
        double progress;
        char *stage;
        uint64_t started_at, ended_at, progress_signalled;
        bool interrupted; /* of a daemon that died, see job-record.h */
        Problem *problem; /* of a failed one */
        GQueue log;       /* JobLogLine */
        GPtrArray *waiters;
        void (*cancel)(Job *job, void *userdata); /* undoes what was begun and finishes the job */
        void *cancel_data;
        sd_event_source *grace;
        BuildPlace *build; /* in the line of builds, see builds.h */
};

/* Foreign text as one line of at most max bytes, valid and without control characters; the caller frees. */
char *plain_text(const char *text, size_t max);

/* A running job; owned by the runtime. -EDQUOT with QuotaExceeded where the owner has too many. */
int job_new(Runtime *rt, const char *kind, uint32_t owner, Job **ret, Problem **ret_problem);

/* Its subject is set: from here on it is told of and recorded. */
void job_announce(Job *j);

/* The ended job goes after that time. */
void job_arm_grace(Job *j, uint64_t usec);

void job_set_cancel(Job *j, void (*cancel)(Job *job, void *userdata), void *userdata);
/* It waits for its turn, or has it. */
void job_set_queued(Job *j, bool queued);
void job_set_stage(Job *j, const char *stage);
void job_set_progress(Job *j, double progress);
void job_log(Job *j, int level, const char *text);

/* The end: done where problem is NULL, else failed (problem is copied), or canceled for error "Canceled". Once. */
void job_finish(Job *j, const Problem *problem);

/* Ends a job by its owner's wish. -EINVAL with a problem where it is over or past what can be undone. */
int job_cancel(Job *j, Problem **ret_problem);

void job_free(Job *j);
