/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every test here includes first: cmocka wants these before itself. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <glib.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/*
 * The rig: a private bus daemon with the project's policy, the real mcp-runtimed, and everybody it speaks to played by the
 * test: systemd, polkit, the helpers on the launch socket, and callers. All of it turns in one event loop, so a test is a
 * straight line of calls; until() turns the loop until something holds.
 */

#define NAME "org.mcp.Runtime1"
#define ROOT "/org/mcp/Runtime1"
#define MANAGER NAME ".Manager"
#define VM NAME ".VM"
#define JOB NAME ".Job"
#define IMAGE NAME ".Image"
#define NETWORK "org.mcp.Runtime1.Network"
#define PROFILE "org.mcp.Runtime1.Profile"
#define ERROR(name) NAME ".Error." name

/* Of the image that is in the store from the beginning. */
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define REFERENCE "web:1"

/* Of the index that play_fetch() finds, and play_worker() follows. */
#define HEX3 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Of the image that play_worker() imports. */
#define HEX2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

typedef struct Rig Rig;
typedef struct FakeHelper FakeHelper;

typedef enum HelperKind { KIND_VM, KIND_WORKER, KIND_PASST, KIND_PROBE, KIND_FETCH, KIND_TPM, KIND_MAX } HelperKind;

/* What systemd makes of a unit's start. */
typedef enum StartMode {
        START_OK,
        START_SILENT,  /* its job is done and nobody connects */
        START_EARLY,   /* JobRemoved overtakes the reply */
        START_FAILS,   /* JobRemoved says failed */
        START_CANCELED, /* JobRemoved says canceled: somebody stopped it */
        START_REFUSED, /* the call itself is an error */
        START_HANGS,   /* no answer */
} StartMode;

typedef enum PolkitMode { POLKIT_YES, POLKIT_NO, POLKIT_CHALLENGE, POLKIT_HANG, POLKIT_LIE } PolkitMode;

/* Is called for each message that a helper hears. */
typedef void (*Play)(FakeHelper *h, json_t *message);

/* One question that polkit was asked. */
typedef struct Question {
        char *action, *subject, *cancellation;
        GHashTable *details;
        bool interactive, canceled;
        sd_bus_message *message; /* while it is unanswered */
} Question;

struct Rig {
        char *dir, *address;
        uint32_t uid;
        pid_t bus_pid, daemon_pid;
        sd_event *event;
        sd_bus *caller;
        int launch, notify;
        GArray *kept; /* of fake-fd-store.c */
        char *host_boot, *last_boot;
        const char *preload; /* a library for the daemon, and the file that it shares with the test (faults.h); NULL: none */
        char *faults;

        sd_bus *systemd;
        StartMode start[KIND_MAX];
        Play play[KIND_MAX];
        GPtrArray *helpers; /* FakeHelper, oldest first */
        GQueue waiting;     /* units whose helper has not connected yet */
        GQueue identities;  /* users of the connections that the daemon has not looked up yet */
        GString *units;     /* "+UNIT " for each start, "-UNIT " for each stop */
        uint32_t last_job;
        uint32_t slow_stop; /* stops are merged into this job, until fake_stop_ends(); 0: they are done at once */
        bool lists;         /* it tells the state of units; else it is always asked in vain */
        unsigned listings;   /* how often it was asked for the state of one */
        uint64_t first_stop; /* cookie of the first stop since this was 0: what the daemon sends is numbered */

        sd_bus *polkit;
        PolkitMode answer;
        GPtrArray *questions; /* Question */

        const char *artifact_type, *artifact_manifest; /* what play_artifact() finds; type NULL: no artifact */

        GPtrArray *trace;  /* text of each signal and noted reply, in their order */
        GHashTable *known; /* "PATH PROPERTY" -> value, as signals told */
        GString *unchanged; /* properties that were signalled without a change */
        GString *alien;    /* wrong things that peers saw, for the end of the test */
};

/* Starts bus, peers and daemon, with one image in the store. For cmocka: setup and teardown. The daemon must have ended
 * cleanly at the teardown, its sanitizers content. */
int rig_setup(void **state);
int rig_setup_without_daemon(void **state);
int rig_teardown(void **state);

void rig_start_daemon(Rig *r);
/* Without waiting for it. */
void rig_fork_daemon(Rig *r);
void rig_await_daemon(Rig *r);
/* SIGTERM must end it cleanly, SIGKILL anyhow. */
void rig_stop_daemon(Rig *r, int sig);

/* The daemon is asked for something trivial and answers. */
void rig_assert_alive(Rig *r);

/* Files of the test's directory; "state/..." is the daemon's. */
void rig_write(Rig *r, const char *name, const char *text);
bool rig_has(Rig *r, const char *name);
char *rig_read(Rig *r, const char *name);
char *rig_path(Rig *r, const char *name);
/* Names beginning with ".tmp-" anywhere below state/. */
unsigned rig_count_temporaries(Rig *r);
/* An ops and its release, and the settings that name them; more: further lines of the settings. Before the daemon starts. */
void rig_write_ops(Rig *r, const char *more);
void rig_add_image(Rig *r, const char *hex, const char *reference);
void rig_add_image_of(Rig *r, uint32_t uid, const char *hex, const char *reference);

/* ---- Turning ---- */

#define PATIENCE_USEC (90ULL * G_USEC_PER_SEC)

/* One turn of the loop; false when the deadline has passed. */
bool rig_turn(Rig *r, uint64_t deadline);
uint64_t rig_deadline(uint64_t usec);
void rig_dump(Rig *r);

#define until(r, condition)                                                                                            \
        do {                                                                                                           \
                uint64_t until_end = rig_deadline(PATIENCE_USEC);                                                      \
                while (!(condition))                                                                                   \
                        if (!rig_turn((r), until_end)) {                                                               \
                                rig_dump(r);                                                                           \
                                fail_msg("never came true: %s", #condition);                                           \
                        }                                                                                              \
        } while (0)

/* Turns for that long: for what must not happen. */
void rig_idle(Rig *r, uint64_t usec);

/* Until the daemon has nothing more to say about what it was sent so far. */
void rig_settle(Rig *r);

/* ---- Calls ---- */

sd_bus *rig_connect(Rig *r);
/* As another user; only root can. */
sd_bus *rig_connect_as(Rig *r, uint32_t uid);

typedef struct Pending {
        Rig *rig;
        sd_bus_slot *slot;
        sd_bus_message *reply; /* also an error */
        char *note;            /* put into the trace when the reply comes */
} Pending;

Pending *rig_send(Rig *r, sd_bus *bus, const char *path, const char *interface, const char *member, const char *types, ...);
Pending *rig_send_message(Rig *r, sd_bus *bus, sd_bus_message *m);
void pending_free(Pending *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pending, pending_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sd_bus_message, sd_bus_message_unref)

sd_bus_message *rig_message(Rig *r, sd_bus *bus, const char *path, const char *interface, const char *member);

/* Sends and waits; the reply may be an error. */
sd_bus_message *rig_call(Rig *r, const char *path, const char *interface, const char *member, const char *types, ...);

/* The error's name, or "" for a good reply. */
const char *reply_error(sd_bus_message *reply);
void assert_error(sd_bus_message *reply, const char *name);
void assert_good(sd_bus_message *reply);

/* A property as text; caller frees. */
char *rig_get(Rig *r, const char *path, const char *interface, const char *property);
void assert_property(Rig *r, const char *path, const char *interface, const char *property, const char *value);

/* ---- Jobs ---- */

/* The number that a good reply begins with. */
unsigned job_of(sd_bus_message *reply);
/* The reply of the job's Wait: it has ended. */
sd_bus_message *wait_job(Rig *r, unsigned id);
/* Of a reply of Wait: that result and that error, whose words have the text in them. */
void assert_end(sd_bus_message *end, const char *result, const char *error, const char *text);
void assert_job(Rig *r, unsigned id, const char *result, const char *error, const char *text);
/* And then nothing temporary is left. */
void assert_job_tidy(Rig *r, unsigned id, const char *result, const char *error, const char *text);

/* ---- The trace ---- */

/* Index of the first entry from `from` on that begins with prefix, -1 without. */
int trace_find(Rig *r, const char *prefix, int from);
unsigned trace_count(Rig *r, const char *prefix);
bool trace_has(Rig *r, const char *prefix);
void trace_clear(Rig *r);
void trace_dump(Rig *r);

/* For rig.c */
void trace_watch(Rig *r);
void trace_look(Rig *r);
void trace_note(Rig *r, const char *text);
/* The next complete value of the message as text; the signature "" is the whole message. */
void append_value(GString *out, sd_bus_message *m);

/* ---- systemd ---- */

void fake_systemd_start(Rig *r);
char *user_of_unit(const char *unit);
HelperKind kind_of_unit(const char *unit);

/* How often the unit was started and not stopped since. */
int unit_runs(Rig *r, const char *unit);

/* Its descriptor store. */
void fake_fd_store_start(Rig *r);
void fake_fd_store_free(Rig *r);
void fake_fd_store_take(Rig *r);   /* what was handed over so far */
void fake_fd_store_pass(Rig *r);   /* in the child that becomes the daemon */
void fake_fd_store_forget(Rig *r); /* its unit was stopped, or the host was */

/* ---- polkit ---- */

void fake_polkit_start(Rig *r);
void fake_polkit_crash(Rig *r);
void fake_polkit_answer(Rig *r, Question *q, bool authorized);
unsigned fake_polkit_open(Rig *r); /* questions without answer */
Question *fake_polkit_last(Rig *r);
void question_free(void *q);

/* ---- Helpers ---- */

#define FAKE_FDS_MAX 64

struct FakeHelper {
        Rig *rig;
        char *unit;
        HelperKind kind;
        int fd;
        sd_event_source *io;
        bool closed; /* by the daemon */
        json_t *launch;
        int fds[FAKE_FDS_MAX];
        size_t n_fds;
        GPtrArray *heard; /* json_t */
};

/* A new connection of the unit. hello NULL: that of a new instance; taken. */
FakeHelper *fake_connect(Rig *r, const char *unit, json_t *hello);
/* Without a word. */
FakeHelper *fake_connect_silent(Rig *r, const char *unit);
void fake_say(FakeHelper *h, json_t *message);
void fake_say_text(FakeHelper *h, const char *text, size_t len);
void fake_close(FakeHelper *h);
void fake_free(void *h);

/* The newest connection of the unit, or NULL. */
FakeHelper *fake_find(Rig *r, const char *unit);
/* The newest message of that type, or NULL. */
json_t *fake_heard(FakeHelper *h, const char *type);
/* The newest helper whose launch names that operation, or NULL; and how many there are. */
FakeHelper *fake_find_op(Rig *r, const char *op);
unsigned fake_count_op(Rig *r, const char *op);
/* The k-th descriptor of that name in the launch message, -1 without. */
int fake_fd(FakeHelper *h, const char *name);

/* The plays of helpers that do what they are told. */
void fake_stop_ends(Rig *r, const char *unit);
void play_monitor(FakeHelper *h, json_t *message);  /* running, ready; stop and kill end it */
void play_worker(FakeHelper *h, json_t *message);   /* every operation is done */
void play_passt(FakeHelper *h, json_t *message);    /* ready */
void play_probe(FakeHelper *h, json_t *message);    /* not usable */
void play_fetch(FakeHelper *h, json_t *message);    /* resolves to HEX2 by an index HEX3, fetches 7 bytes; pushes */
void play_artifact(FakeHelper *h, json_t *message); /* the same, and what it finds is the rig's artifact */
void play_hang_up(FakeHelper *h, json_t *message); /* at the first message */
void play_fail(FakeHelper *h, json_t *message);    /* says that it failed */
void play_nothing(FakeHelper *h, json_t *message);

void fake_running(FakeHelper *h);
void fake_exited(FakeHelper *h, const char *reason, int code);
