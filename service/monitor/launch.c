/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the reading of the launch message: every value is checked before anything is done with it. */
#include "monitor/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/boot-archive.h"
#include "monitor/ladder.h"
#include "monitor/uefi-vars.h"
#include "shared/fd.h"
#include "shared/log-line.h"
#include "shared/wire.h"

static int refuse(const char **ret_problem, const char *problem) {
        *ret_problem = problem;
        return -EBADMSG;
}

/* An integer from min to max, or what it is by default. */
static bool get_number(
        const json_t *message, const char *key, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret) {
        const json_t *value = json_object_get(message, key);
        json_int_t v = json_integer_value(value);

        if (!value) {
                *ret = def;
                return true;
        }
        if (!json_is_integer(value) || v < 0 || (uint64_t) v < min || (uint64_t) v > max)
                return false;
        *ret = (uint64_t) v;
        return true;
}

static int parse_argv(struct launch *l, const json_t *message, const char **ret_problem) {
        const json_t *argv = json_object_get(message, "argv");
        size_t n = json_array_size(argv);

        if (n == 0 || n > LAUNCH_ARGV_MAX)
                return refuse(ret_problem, "\"argv\" is no array of 1 to 1024 strings");
        l->argv = calloc(n + 1, sizeof *l->argv);
        if (!l->argv)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const char *arg = json_string_value(json_array_get(argv, i));

                if (!arg)
                        return refuse(ret_problem, "\"argv\" holds something that is no string");
                l->argv[i] = strdup(arg);
                if (!l->argv[i])
                        return -ENOMEM;
                if (strcmp(arg, "-no-reboot") == 0 || strcmp(arg, "reboot=shutdown") == 0)
                        l->no_reboot = true;
                if (strstr(arg, "isa-debug-exit"))
                        l->exit_port = true;
        }
        if (l->argv[0][0] != '/')
                return refuse(ret_problem, "\"argv\" does not begin with an absolute path");
        return 0;
}

/* What only QEMU's process gets: libraries of its own build. */
static int parse_environment(struct launch *l, const json_t *message, const char **ret_problem) {
        const json_t *environment = json_object_get(message, "environment");
        size_t n = json_array_size(environment);

        if (environment && (!json_is_array(environment) || n > LAUNCH_ENVIRONMENT_MAX))
                return refuse(ret_problem, "\"environment\" is no array of up to 8 strings");
        for (size_t i = 0; i < n; i++) {
                const char *entry = json_string_value(json_array_get(environment, i));

                if (!entry || !strchr(entry, '='))
                        return refuse(ret_problem, "\"environment\" holds something that is not KEY=VALUE");
                l->environment[i] = strdup(entry);
                if (!l->environment[i])
                        return -ENOMEM;
        }
        return 0;
}

/* Gives each descriptor to its name; what has been given is -1 in fds. */
static int parse_fds(struct launch *l, const json_t *message, int *fds, size_t n_fds, const char **ret_problem) {
        const json_t *names = json_object_get(message, "fds");

        if (wire_fds_lost(message, n_fds)) {
                *ret_problem = "the monitor cannot have the descriptors that came with it";
                return -EMFILE;
        }
        if (json_array_size(names) != n_fds)
                return refuse(ret_problem, "\"fds\" does not name the descriptors that came with it");
        for (size_t i = 0; i < n_fds; i++) {
                const char *name = json_string_value(json_array_get(names, i));
                char expected[16];

                (void) snprintf(expected, sizeof expected, "log%zu", l->n_log_fds);
                if (!name)
                        return refuse(ret_problem, "\"fds\" holds something that is no string");
                if (strcmp(name, "qemu") == 0)
                        l->qemu_fds[l->n_qemu_fds++] = take_fd(&fds[i]);
                else if (strcmp(name, "vars-template") == 0 && l->vars_fd < 0)
                        l->vars_fd = take_fd(&fds[i]);
                else if (strcmp(name, "boot") == 0 && l->boot_fd < 0)
                        l->boot_fd = take_fd(&fds[i]);
                else if (strcmp(name, "exit") == 0 && l->exit_fd < 0)
                        l->exit_fd = take_fd(&fds[i]);
                else if (strcmp(name, "probes") == 0 && l->probes_fd < 0)
                        l->probes_fd = take_fd(&fds[i]);
                else if (strcmp(name, expected) == 0 && l->n_log_fds < SEGLOG_SEGMENTS_MAX)
                        l->log_fds[l->n_log_fds++] = take_fd(&fds[i]);
                else
                        return refuse(ret_problem,
                                "\"fds\" has a name that is none of qemu, boot, probes, vars-template, exit, log0 ...");
        }
        return 0;
}

static bool get_pattern(const json_t *message, const char *key, struct pattern *ret) {
        const char *text = json_string_value(json_object_get(message, key));

        return text && pattern_compile(text, ret);
}

static int parse_ready(struct launch *l, const json_t *message, const char **ret_problem) {
        static const char *const words[] = {[READY_BY_MESSAGE] = "message",
                [READY_NONE] = "none",
                [READY_BY_PROBE] = "probe",
                [READY_BY_CONSOLE] = "console"};
        const json_t *ready = json_object_get(message, "ready");
        const char *word = json_string_value(ready);
        size_t i = 0;

        l->ready = l->guest ? READY_BY_MESSAGE : READY_NONE;
        if (!ready)
                return 0;
        while (i < sizeof words / sizeof *words && (!word || strcmp(words[i], word) != 0))
                i++;
        if (i == sizeof words / sizeof *words)
                return refuse(ret_problem, "\"ready\" is none of \"message\", \"none\", \"probe\" and \"console\"");
        l->ready = (enum launch_ready) i;
        if (l->ready == READY_BY_CONSOLE && !get_pattern(message, "ready_pattern", &l->ready_pattern))
                return refuse(ret_problem, "\"ready_pattern\" is no pattern");
        return 0;
}

#define PERIOD_MAX (3600ULL * 1000000ULL)
#define RETRIES_MAX 1000U

static int parse_health(struct launch *l, const json_t *message, const char **ret_problem) {
        const json_t *health = json_object_get(message, "health");
        const char *kind = json_string_value(json_object_get(health, "kind"));
        struct health *h = &l->health;
        uint64_t retries;

        if (!health)
                return 0;
        if (!kind || (strcmp(kind, "probe") != 0 && strcmp(kind, "console") != 0))
                return refuse(ret_problem, "\"health\" is of neither kind, \"probe\" or \"console\"");
        l->health_by_console = strcmp(kind, "console") == 0;
        if (l->health_by_console && !get_pattern(health, "pattern", &l->health_pattern))
                return refuse(ret_problem, "the \"pattern\" of \"health\" is none");
        if (!get_number(health, "start_period", 0, PERIOD_MAX, 0, &h->start_period) ||
                !get_number(health, "interval", 1, PERIOD_MAX, 0, &h->interval) ||
                !get_number(health, "timeout", 1, PERIOD_MAX, 0, &h->timeout) ||
                !get_number(health, "retries", 1, RETRIES_MAX, 0, &retries) || h->interval == 0 || h->timeout == 0 ||
                retries == 0)
                return refuse(ret_problem, "\"health\" lacks a time or retries, or has one out of its range");
        h->retries = (uint32_t) retries;
        h->state = HEALTH_STARTING;
        h->due = UINT64_MAX;
        return 0;
}

static int parse_values(struct launch *l, const json_t *message, const char **ret_problem) {
        const json_t *guest = json_object_get(message, "guest");
        uint64_t boot;
        int r;

        if (!get_number(message, "boot", 0, UINT32_MAX, UINT64_MAX, &boot) || boot == UINT64_MAX)
                return refuse(ret_problem, "\"boot\" is no number");
        if (!get_number(message, "log_max", LOG_LINE_MAX, UINT32_MAX, LOG_SEGMENT_BYTES, &l->log_max))
                return refuse(ret_problem, "\"log_max\" is no number from 4176 to 4294967295");
        if (!get_number(message, "stop_timeout", 0, LADDER_TIMEOUT_MAX, 10U * 1000000U, &l->stop_timeout))
                return refuse(ret_problem, "\"stop_timeout\" is no number of microseconds up to a day");
        if (guest && !json_is_boolean(guest))
                return refuse(ret_problem, "\"guest\" is neither true nor false");
        l->boot = (uint32_t) boot;
        l->guest = json_is_true(guest);
        r = parse_ready(l, message, ret_problem);
        return r < 0 ? r : parse_health(l, message, ret_problem);
}

/* Which of the descriptors for QEMU key names. */
static bool get_place(const struct launch *l, const json_t *message, const char *key, uint64_t *ret) {
        return l->n_qemu_fds > 0 && json_object_get(message, key) &&
               get_number(message, key, 0, l->n_qemu_fds - 1, 0, ret);
}

/* A VM's first boot with UEFI, or the first that came so far. */
static int make_variables(struct launch *l, const json_t *message, const char **ret_problem) {
        uint64_t k;
        int r;

        if (l->vars_fd < 0)
                return 0;
        if (!get_place(l, message, "vars", &k))
                return refuse(ret_problem, "\"vars\" is not the place of one of the descriptors for QEMU");
        r = uefi_vars_make(l->qemu_fds[k], l->vars_fd);
        if (r < 0)
                *ret_problem = "the VM's UEFI variables could not be written";
        return r;
}

/* A machine without fw_cfg: its initrd is made anew, with the boot message in it. */
static int add_boot_message(struct launch *l, const json_t *message, const char **ret_problem) {
        uint64_t k;
        int r;

        if (l->boot_fd < 0)
                return 0;
        if (!get_place(l, message, "boot_in", &k))
                return refuse(ret_problem, "\"boot_in\" is not the place of one of the descriptors for QEMU");
        r = boot_archive_append(l->qemu_fds[k], l->boot_fd);
        if (r < 0) {
                *ret_problem = "the boot message could not be put into the initrd";
                return r;
        }
        (void) close_fd(l->qemu_fds[k]);
        l->qemu_fds[k] = r;
        return 0;
}

int launch_parse(const json_t *message, const int *fds, size_t n_fds, struct launch **ret, const char **ret_problem) {
        struct launch *l = n_fds <= LAUNCH_FDS_MAX ? calloc(1, sizeof *l) : NULL;
        int left[LAUNCH_FDS_MAX], r = -ENOMEM;

        *ret_problem = "out of memory";
        if (l) {
                memcpy(left, fds, n_fds * sizeof *fds);
                l->exit_fd = l->boot_fd = l->vars_fd = l->probes_fd = -1;
                r = parse_fds(l, message, left, n_fds, ret_problem);
                fds = left;
        }
        if (r >= 0)
                r = parse_values(l, message, ret_problem);
        if (r >= 0)
                r = parse_argv(l, message, ret_problem);
        if (r >= 0)
                r = parse_environment(l, message, ret_problem);
        if (r >= 0)
                r = add_boot_message(l, message, ret_problem);
        if (r >= 0)
                r = make_variables(l, message, ret_problem);
        if (r < 0) {
                for (size_t i = 0; i < n_fds; i++)
                        (void) close_fd(fds[i]);
                launch_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct launch *launch_free(struct launch *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; l->argv && l->argv[i]; i++)
                free(l->argv[i]);
        free(l->argv);
        for (size_t i = 0; l->environment[i]; i++)
                free(l->environment[i]);
        for (size_t i = 0; i < l->n_log_fds; i++)
                (void) close_fd(l->log_fds[i]);
        for (size_t i = 0; i < l->n_qemu_fds; i++)
                (void) close_fd(l->qemu_fds[i]);
        (void) close_fd(l->exit_fd);
        (void) close_fd(l->boot_fd);
        (void) close_fd(l->vars_fd);
        (void) close_fd(l->probes_fd);
        free(l);
        return NULL;
}
