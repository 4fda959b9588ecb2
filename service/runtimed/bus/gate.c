/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns calls from their message to their verb: caller's uid, polkit's answers, the caller's disappearance. */
#include "bus/gate.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "bus/audit.h"
#include "bus/leavers.h"
#include "bus/questions.h"
#include "core/users.h"
#include "shared/fd.h"

#define CALLERS_MAX 1024U

int bus_error_problem(sd_bus_error *error, const Problem *problem) {
        g_autofree char *name = g_strconcat(ERROR_PREFIX, problem->error, NULL);

        return sd_bus_error_set(error, name, problem->text);
}

int bus_error_named(sd_bus_error *error, const char *name, const char *format, ...) {
        g_autofree char *full = g_strconcat(ERROR_PREFIX, name, NULL), *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        return sd_bus_error_set(error, full, text);
}

static Call *call_free(Call *c) {
        if (!c)
                return NULL;
        (void) g_ptr_array_remove_fast(c->bus->calls, c);
        if (c->question)
                questions_end(c->bus->questions, c->uid);
        authority_question_cancel(c->question);
        (void) leaver_forget(c->leaver);
        sd_bus_slot_unref(c->lookup);
        sd_bus_message_unref(c->message);
        if (c->request_free && c->request)
                c->request_free(c->request);
        g_free(c->vm_name);
        g_free(c->vm_uuid);
        g_free(c->image_id);
        g_free(c->detail_path);
        g_free(c->detail_network);
        g_free(c->detail_ports);
        g_free(c->detail_image);
        g_free(c->detail_profile);
        g_free(c);
        return NULL;
}

static void on_caller_gone(void *userdata) {
        (void) call_free(userdata);
}

Call *call_new(
        Bus *b, sd_bus_message *m, const char *interface, void *request, GDestroyNotify request_free, CallRun run) {
        Call *c = g_new0(Call, 1);

        *c = (Call){.bus = b,
                .message = sd_bus_message_ref(m),
                .request = request,
                .request_free = request_free,
                .run = run};
        c->row = auth_row_find(interface, sd_bus_message_get_member(m));
        c->leaver = leaver_watch(b, m, on_caller_gone, c);
        g_ptr_array_add(b->calls, c);
        return c;
}

void call_set_vm(Call *c, const VM *vm) {
        c->subject = SUBJECT_VM;
        c->vm_name = g_strdup(vm->name);
        c->vm_uuid = g_strdup(vm->record ? vm->record->uuid : "");
        c->generation = vm->generation;
}

void call_set_job(Call *c, const Job *job) {
        c->subject = SUBJECT_JOB;
        c->job = job->id;
}

void call_set_image(Call *c, const Image *image) {
        c->subject = SUBJECT_IMAGE;
        c->image_id = g_strdup(image->id);
        c->detail_image = g_strdup(image_reference(image));
}

void call_add_action(Call *c, const char *action) {
        for (size_t i = 0; i < c->n_actions; i++)
                if (strcmp(c->actions[i], action) == 0)
                        return;
        g_assert(c->n_actions < G_N_ELEMENTS(c->actions));
        c->actions[c->n_actions++] = action;
}

int call_vm(Call *c, VM **ret, sd_bus_error *error) {
        VM *vm = runtime_find_vm(c->bus->runtime, c->vm_name);

        if (!vm)
                return bus_error_named(error, "NoSuchVM", "there is no VM '%s' any more", c->vm_name);
        if (strcmp(vm->record ? vm->record->uuid : "", c->vm_uuid) != 0 || vm->generation != c->generation)
                return bus_error_named(
                        error, "Stale", "VM '%s' has changed while the call was authorized; look again", c->vm_name);
        *ret = vm;
        return 0;
}

int call_whole_vm(Call *c, VM **ret, sd_bus_error *error) {
        int r = call_vm(c, ret, error);

        if (r >= 0 && !(*ret)->record)
                return bus_error_named(error, "NotSupported",
                        "the record of VM '%s' is broken (%s); it can only be removed", (*ret)->name, (*ret)->broken);
        return r;
}

int call_job(Call *c, Job **ret, sd_bus_error *error) {
        *ret = runtime_find_job(c->bus->runtime, c->job);
        return *ret ? 0 : bus_error_named(error, "NoSuchJob", "there is no job %u any more", c->job);
}

int call_image(Call *c, Image **ret, sd_bus_error *error) {
        *ret = g_hash_table_lookup(c->bus->runtime->images, c->image_id);
        return *ret ? 0 : bus_error_named(error, "NoSuchImage", "there is no such image any more");
}

/* The owner of what the call is about; the caller where it is about nothing yet. */
static int subject_owner(Call *c, uint32_t *ret, sd_bus_error *error) {
        Image *image = NULL;
        Job *job = NULL;
        VM *vm = NULL;
        int r = 0;

        switch (c->subject) {
        case SUBJECT_VM:
                r = call_vm(c, &vm, error);
                *ret = vm ? vm_owner(vm) : 0;
                break;
        case SUBJECT_JOB:
                r = call_job(c, &job, error);
                *ret = job ? job->owner : 0;
                break;
        case SUBJECT_IMAGE:
                r = call_image(c, &image, error);
                *ret = image ? image->owner : 0;
                break;
        default:
                *ret = c->uid;
        }
        return r;
}

static int fail_foreign(Call *c, sd_bus_error *error) {
        if (c->subject == SUBJECT_IMAGE)
                return bus_error_named(error, "NoSuchImage", "you have no such image");
        return bus_error_named(error, "NoSuchJob", "you have no job %u", c->job);
}

/* The row's own question, before those of the plan. Root may do all: polkit says the same. */
static int plan_row(Call *c, sd_bus_error *error) {
        uint32_t owner;
        int r;

        c->owner = c->uid;
        if (c->row->rule == AUTH_OPEN)
                return 0;
        r = subject_owner(c, &owner, error);
        if (r < 0)
                return r;
        c->owner = owner;
        if (owner == c->uid) {
                if (c->row->own)
                        call_add_action(c, c->row->own);
                return 0;
        }
        if (c->row->other)
                call_add_action(c, c->row->other);
        else if (c->uid != 0)
                return fail_foreign(c, error);
        return 0;
}

static bool is_refusal(const sd_bus_error *error) {
        return sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
               sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
}

/* The end of a call: its reply was sent by run(), or the error goes out. What would have changed something is audited.
 */
static void call_finish(Call *c, int r, sd_bus_error *error) {
        bool failed = r < 0 || sd_bus_error_is_set(error);

        if (failed) {
                if (!sd_bus_error_is_set(error))
                        (void) sd_bus_error_set_errno(error, r);
                (void) sd_bus_reply_method_error(c->message, error);
        }
        if (c->row->rule == AUTH_ASK || (failed && is_refusal(error)))
                audit_log(c,
                        !failed             ? "granted"
                        : is_refusal(error) ? "refused"
                                            : "failed",
                        failed ? error->name : NULL);
        (void) call_free(c);
}

static void call_ask(Call *c);

static void on_answer(AuthorityAnswer answer, const char *text, void *userdata) {
        Call *c = userdata;
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *action = c->actions[c->asked];

        c->question = NULL;
        questions_end(c->bus->questions, c->uid);
        if (answer == AUTHORITY_GRANTED) {
                c->asked++;
                call_ask(c);
                return;
        }
        if (answer == AUTHORITY_CHALLENGE)
                (void) sd_bus_error_setf(&error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                        "%s needs " ACTION_PREFIX "%s: %s", sd_bus_message_get_member(c->message), action, text);
        else
                (void) sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED, "%s needs " ACTION_PREFIX "%s: %s",
                        sd_bus_message_get_member(c->message), action, text);
        call_finish(c, -EACCES, &error);
}

/* One of a flood costs an answer and nothing more: no question, no line of its own in the journal. */
static void call_refuse(Call *c) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;

        (void) bus_error_named(&error, "QuotaExceeded",
                "user %u has too many questions to polkit pending: at most %u at once, and %u a second beside another",
                c->uid, QUESTIONS_PENDING_MAX, QUESTIONS_PER_SECOND);
        (void) sd_bus_reply_method_error(c->message, &error);
        (void) call_free(c);
}

/* Asks what is left to be asked, then runs. */
static void call_ask(Call *c) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        if (c->asked == c->n_actions) {
                r = c->run(c, &error);
                call_finish(c, r, &error);
                return;
        }
        if (!questions_begin(c->bus->questions, c->uid, now_monotonic())) {
                call_refuse(c);
                return;
        }
        if (c->asked == 0)
                audit_new_caller(c->bus, sd_bus_message_get_sender(c->message), c->pid);
        {
                g_autofree char *action = g_strconcat(ACTION_PREFIX, c->actions[c->asked], NULL);
                g_autofree char *owner = g_strdup_printf("%u", c->owner);
                const char *details[] = {"verb", sd_bus_message_get_member(c->message), "vm", c->vm_name ?: "", "owner",
                        owner, "image", c->detail_image ?: "", "network", c->detail_network ?: "", "ports",
                        c->detail_ports ?: "", "profile", c->detail_profile ?: "", "path", c->detail_path ?: "", NULL};

                c->question = authority_check(c->bus->authority, sd_bus_message_get_sender(c->message), action, details,
                        sd_bus_message_get_allow_interactive_authorization(c->message) > 0, on_answer, c);
        }
}

static void call_plan(Call *c) {
        __attribute__((cleanup(sd_bus_error_free))) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = plan_row(c, &error);
        if (r >= 0 && c->plan)
                r = c->plan(c, &error);
        if (r < 0 || sd_bus_error_is_set(&error))
                call_finish(c, r, &error);
        else
                call_ask(c);
}

static Caller *caller_new(uint32_t uid, uint32_t pid) {
        Caller *caller = g_new(Caller, 1);

        *caller = (Caller){.uid = uid, .pid = pid};
        return caller;
}

/* GetConnectionCredentials (D-Bus specification 0.41): a{sv} with UnixUserID u, and ProcessID u where it is known. */
static int read_credentials(sd_bus_message *m, Caller *ret) {
        bool found = false;
        const char *key;
        int r;

        *ret = (Caller){};
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0 && strcmp(key, "UnixUserID") == 0) {
                        r = sd_bus_message_read(m, "v", "u", &ret->uid);
                        found = true;
                } else if (r >= 0 && strcmp(key, "ProcessID") == 0)
                        r = sd_bus_message_read(m, "v", "u", &ret->pid);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : found ? 0 : -ENODATA;
}

static int on_credentials(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Call *c = userdata;
        Caller caller;

        c->lookup = sd_bus_slot_unref(c->lookup);
        if (sd_bus_message_is_method_error(m, NULL) || read_credentials(m, &caller) < 0) {
                (void) call_free(c); /* the caller has gone */
                return 0;
        }
        if (g_hash_table_size(c->bus->callers) >= CALLERS_MAX)
                g_hash_table_remove_all(c->bus->callers);
        (void) g_hash_table_replace(
                c->bus->callers, g_strdup(sd_bus_message_get_sender(c->message)), caller_new(caller.uid, caller.pid));
        c->uid = caller.uid;
        c->pid = caller.pid;
        (void) users_name(c->bus->runtime->users, c->uid); /* so that it is known by the time of records */
        call_plan(c);
        return 0;
}

int call_begin(Call *c, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(c->message);
        const Caller *caller;
        int r;

        if (!c->row || !sender) {
                (void) call_free(c);
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "the method has no authorization");
        }
        caller = g_hash_table_lookup(c->bus->callers, sender);
        if (caller) {
                c->uid = caller->uid;
                c->pid = caller->pid;
                call_plan(c);
                return 1;
        }
        r = sd_bus_call_method_async(c->bus->bus, &c->lookup, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                "org.freedesktop.DBus", "GetConnectionCredentials", on_credentials, c, "s", sender);
        if (r < 0) {
                (void) call_free(c);
                return r;
        }
        return 1;
}
