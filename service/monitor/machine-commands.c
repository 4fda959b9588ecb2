/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what the daemon asks of a VM: every request with an id gets exactly one reply while the connection lives. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "monitor/machine.h"
#include "monitor/usage.h"
#include "shared/crash-point.h"
#include "shared/fd.h"
#include "shared/signal-names.h"
#include "shared/wire.h"

static void reply_ok(struct machine *m, json_int_t id) {
        daemon_link_send(m->link, json_pack("{s:s, s:I}", "type", "reply", "id", id));
}

__attribute__((format(printf, 4, 5))) static void reply_error(
        struct machine *m, json_int_t id, const char *name, const char *format, ...) {
        char text[2 * TEXT_MAX];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof text, format, ap);
        va_end(ap);
        daemon_link_send(
                m->link, json_pack("{s:s, s:I, s:s, s:s}", "type", "reply", "id", id, "error", name, "message", text));
}

/* The answer to a request that QEMU cannot take now. */
static void reply_no_qmp(struct machine *m, json_int_t id, int error) {
        if (error == -EBUSY)
                reply_error(m, id, "Busy", "too many requests wait for QEMU already");
        else if (m->was_running)
                reply_error(m, id, "GuestNotResponding", "QEMU's control connection is lost; Stop still works");
        else
                reply_error(m, id, "Busy", "the VM is still starting; try again when it is running");
}

/* The answer to a request that QEMU took, and does not do. */
static void reply_refused(struct machine *m, json_int_t id, int error, const char *text) {
        if (error == -ETIMEDOUT)
                reply_error(m, id, "GuestNotResponding", "%s", text);
        else if (error == -ECONNRESET)
                reply_error(m, id, "VMNotRunning", "the VM ended before QEMU answered");
        else
                reply_error(m, id, "NotSupported", "QEMU refuses: %s", text);
}

static void on_reply(void *userdata, int error, const char *text, const json_t *value) {
        struct machine_request *request = userdata;
        struct machine *m = request->machine;
        json_int_t id = request->id, target = request->memory_target;

        *request = (struct machine_request){};
        if (error >= 0 && target > 0) {
                m->memory_target = target;
                daemon_link_send(m->link, json_pack("{s:s, s:I}", "type", "memory", "target", target));
        }
        if (error >= 0)
                reply_ok(m, id);
        else
                reply_refused(m, id, error, text);
}

static struct machine_request *new_request(struct machine *m, json_int_t id) {
        for (size_t i = 0; i < QMP_PENDING_MAX; i++)
                if (!m->requests[i].machine) {
                        m->requests[i] = (struct machine_request){.machine = m, .id = id};
                        return &m->requests[i];
                }
        return NULL;
}

/* Has QEMU do it, and answers when it has. The reference of arguments is taken. */
static void forward_with(
        struct machine *m, json_int_t id, const char *command, json_t *arguments, json_int_t memory_target) {
        struct machine_request *request = new_request(m, id);
        int r = -EBUSY;

        if (request) {
                request->memory_target = memory_target;
                r = qmp_execute(m->qmp, command, arguments, on_reply, request);
        } else
                json_decref(arguments);
        if (r >= 0)
                return;
        if (request)
                *request = (struct machine_request){};
        reply_no_qmp(m, id, r);
}

static void forward(struct machine *m, json_int_t id, const char *command) {
        forward_with(m, id, command, NULL, 0);
}

static bool refuse_while_stopping(struct machine *m, json_int_t id) {
        if (m->state != MACHINE_STOPPING)
                return false;
        reply_error(m, id, "Busy", "the VM is being stopped");
        return true;
}

static void do_pause(struct machine *m, json_int_t id, const json_t *message) {
        if (!refuse_while_stopping(m, id))
                forward(m, id, "stop");
}

static void do_resume(struct machine *m, json_int_t id, const json_t *message) {
        if (!refuse_while_stopping(m, id))
                forward(m, id, "cont");
}

#define FIRMWARE_USEC 60000000U

static void set_reboot_action(struct machine *m, const char *action) {
        if (m->launch->no_reboot)
                (void) qmp_execute(m->qmp, "set-action", json_pack("{s:s}", "reboot", action), NULL, NULL);
}

static int on_reset_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        machine_reset_settled(userdata);
        return 0;
}

static void do_reset(struct machine *m, json_int_t id, const json_t *message) {
        if (refuse_while_stopping(m, id))
                return;
        /* A reset from here is meant as one, also where the guest's own would end QEMU. */
        set_reboot_action(m, "reset");
        forward(m, id, "system_reset");
        m->reset_timer = sd_event_source_disable_unref(m->reset_timer);
        (void) sd_event_add_time_relative(
                m->event, &m->reset_timer, CLOCK_MONOTONIC, FIRMWARE_USEC, 0, on_reset_timer, m);
}

/* SeaBIOS finds its memory used after such a reset and makes another one, a harder one: of several devices in turn, each
 * of which may take effect. When the guest is up, or for one that does not say so after a time that no firmware takes, a
 * reset is the guest's own again. */
void machine_reset_settled(struct machine *m) {
        m->firmware_runs = false;
        m->reset_timer = sd_event_source_disable_unref(m->reset_timer);
        set_reboot_action(m, "shutdown");
}

static void do_stop(struct machine *m, json_int_t id, const json_t *message) {
        const json_t *timeout = json_object_get(message, "timeout");

        if (!json_is_integer(timeout) || json_integer_value(timeout) < 0) {
                reply_error(m, id, "InvalidSpec", "timeout is no number of microseconds");
                return;
        }
        CRASH_POINT(MONITOR_STOP);
        reply_ok(m, id);
        if (json_is_true(json_object_get(message, "unhealthy")))
                m->facts.unhealthy = true;
        else
                m->stop_requested = true;
        machine_stop(m, (uint64_t) json_integer_value(timeout));
}

static void signal_guest(struct machine *m, json_int_t id, int number) {
        int r;

        if (!m->launch->guest) {
                /* Such a guest knows one request only: the button. */
                if (number == 15)
                        forward(m, id, "system_powerdown");
                else
                        reply_error(m, id, "NotSupported", "this guest takes TERM and KILL only");
                return;
        }
        if (!m->guest_hello) {
                reply_error(m, id, "GuestNotResponding", "guest init has not reported yet, or not any more");
                return;
        }
        r = guest_send(m->guest, GUEST_SIGNAL, (uint32_t) number);
        if (r < 0)
                reply_error(m, id, "GuestNotResponding", "the guest does not read its messages: %s", strerror(-r));
        else
                reply_ok(m, id);
}

static void do_kill(struct machine *m, json_int_t id, const json_t *message) {
        const char *name = json_string_value(json_object_get(message, "signal"));
        int number = name ? signal_from_name(name) : -EINVAL;
        char clean[TEXT_MAX + 1];

        if (number < 0) {
                text_clean(clean, name ? name : "", name && strlen(name) < 32 ? strlen(name) : name ? 32 : 0);
                reply_error(m, id, "InvalidSpec", "signal \"%s\" is none of %s", clean, signal_names);
        } else if (number == 9) {
                reply_ok(m, id);
                m->stop_requested = true;
                machine_stop(m, 0);
        } else
                signal_guest(m, id, number);
}

static void do_balloon(struct machine *m, json_int_t id, const json_t *message) {
        json_int_t bytes = json_integer_value(json_object_get(message, "bytes"));

        if (bytes <= 0)
                reply_error(m, id, "InvalidSpec", "a balloon comes with a number of bytes");
        else if (!refuse_while_stopping(m, id))
                forward_with(m, id, "balloon", json_pack("{s:I}", "value", bytes), bytes);
}

json_t *machine_memory(const struct machine *m) {
        return json_pack("{s:I, s:I}", "target", m->memory_target, "actual", m->memory_actual);
}

/* What needs no word of QEMU is told at once; the reply has the rest, where QEMU gives it. */
static void on_block_stats(void *userdata, int error, const char *text, const json_t *value) {
        struct machine_request *request = userdata;
        struct machine *m = request->machine;
        json_t *reply = json_pack("{s:s, s:I}", "type", "reply", "id", request->id);
        uint64_t read_bytes, written;

        *request = (struct machine_request) {};
        if (error >= 0 && reply) {
                usage_sum_blocks(value, &read_bytes, &written);
                (void) json_object_set_new(reply, "disk_read", json_integer((json_int_t) read_bytes));
                (void) json_object_set_new(reply, "disk_written", json_integer((json_int_t) written));
        }
        daemon_link_send(m->link, reply);
}

static void do_usage(struct machine *m, json_int_t id, const json_t *message) {
        struct machine_request *request;
        json_t *now = json_pack("{s:s}", "type", "usage");
        struct usage usage;

        usage_read(m->pid, &usage);
        if (usage.has_cpu)
                (void) json_object_set_new(now, "cpu", json_integer((json_int_t) usage.cpu));
        if (usage.has_memory)
                (void) json_object_set_new(now, "memory", json_integer((json_int_t) usage.memory));
        daemon_link_send(m->link, now);
        request = new_request(m, id);
        if (request && qmp_execute(m->qmp, "query-blockstats", NULL, on_block_stats, request) >= 0)
                return;
        if (request)
                *request = (struct machine_request) {};
        reply_ok(m, id);
}

static void do_console(struct machine *m, json_int_t id, const json_t *message) {
        int r;

        if (!m->command_fd) {
                reply_error(m, id, "LimitExceeded",
                        "the console's descriptor did not arrive; too many are open in its monitor");
                return;
        }
        r = console_view(m->console, take_fd(m->command_fd), json_is_true(json_object_get(message, "write")));
        if (r == -EBUSY)
                reply_error(m, id, "Busy", "somebody else writes to the console; open it with write=false, or wait");
        else if (r == -EMFILE)
                reply_error(m, id, "Busy", "%u viewers have the console open, which is the limit", VIEWERS_MAX);
        else if (r < 0)
                reply_error(m, id, "NotSupported", "the console could not be opened: %s", strerror(-r));
        else
                reply_ok(m, id);
}

void machine_display_done(void *userdata, json_int_t id, int error, const char *text) {
        struct machine *m = userdata;

        if (error >= 0)
                reply_ok(m, id);
        else if (error == -EMFILE)
                reply_error(m, id, "Busy", "%u viewers have the display open, which is the limit", DISPLAY_VIEWERS_MAX);
        else if (error == -ENOTCONN || error == -EBUSY)
                reply_no_qmp(m, id, error);
        else
                reply_refused(m, id, error, text);
}

static void do_display(struct machine *m, json_int_t id, const json_t *message) {
        int r;

        if (!m->command_fd) {
                reply_error(m, id, "LimitExceeded",
                        "the display's descriptor did not arrive; too many are open in its monitor");
                return;
        }
        r = display_add(m->display, m->qmp, id, take_fd(m->command_fd));
        if (r == -EBUSY)
                reply_error(m, id, "Busy", "%u viewers wait for the display already", DISPLAY_WAITING_MAX);
        else if (r < 0)
                reply_error(m, id, "NotSupported", "the display could not be opened: %s", strerror(-r));
}

static const struct {
        const char *type;
        void (*run)(struct machine *m, json_int_t id, const json_t *message);
} table[] = {
        {"stop", do_stop},
        {"kill", do_kill},
        {"pause", do_pause},
        {"resume", do_resume},
        {"reset", do_reset},
        {"balloon", do_balloon},
        {"console", do_console},
        {"display", do_display},
        {"usage", do_usage},
};

int machine_handle(struct machine *m, const json_t *message, int *fds, size_t n_fds) {
        const json_t *id = json_object_get(message, "id");

        if (strcmp(wire_type(message), "goodbye") == 0) {
                if (m->state == MACHINE_EXITED)
                        machine_leave(m);
                return 0;
        }
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
                if (strcmp(wire_type(message), table[i].type) != 0)
                        continue;
                if (!json_is_integer(id))
                        return -EBADMSG;
                if (m->state == MACHINE_EXITED)
                        reply_error(m, json_integer_value(id), "VMNotRunning", "the VM has ended");
                else {
                        m->command_fd = n_fds == 1 ? &fds[0] : NULL;
                        table[i].run(m, json_integer_value(id), message);
                        m->command_fd = NULL;
                }
                return 0;
        }
        return 0;
}
