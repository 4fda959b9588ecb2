/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs skopeo: its descriptors, its environment, its words, its end. */
#include "fetch/skopeo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fetch/complaint.h"
#include "shared/fd.h"
#include "shared/wire.h"

#define CREDENTIALS_FD 3
#define CREDENTIALS_PATH "/proc/self/fd/3"
#define TICK_MSEC 200
#define LINE_MAX_BYTES 4096U
#define LINES_MAX 400U /* of its log that the job gets */

/* What an administrator may set for the unit and skopeo should know. */
static const char *const passed_on[] = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy",
        "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"};

/* A run of it. */
struct run {
        const struct skopeo *skopeo;
        pid_t pid;
        int out, err, report;
        GString *output;
        size_t output_max;
        GString *line;    /* of its log, not ended yet */
        GString *reason;  /* its last words */
        bool fatal;       /* they were marked as such */
        unsigned n_lines; /* that the job got */
};

static char **make_environment(const struct skopeo *s) {
        GPtrArray *list = g_ptr_array_new();

        g_ptr_array_add(list, g_strdup("PATH=/usr/bin:/bin"));
        g_ptr_array_add(list, g_strdup("LANG=C"));
        g_ptr_array_add(list, g_strconcat("HOME=", s->home, NULL));
        g_ptr_array_add(list, g_strconcat("TMPDIR=", s->home, NULL));
        for (size_t i = 0; i < G_N_ELEMENTS(passed_on); i++)
                if (g_getenv(passed_on[i]))
                        g_ptr_array_add(list, g_strconcat(passed_on[i], "=", g_getenv(passed_on[i]), NULL));
        g_ptr_array_add(list, NULL);
        return (char **) g_ptr_array_free(list, FALSE);
}

static char **make_argv(const struct skopeo *s, const char *verb, const char *prefix, const char *const *arguments) {
        GPtrArray *list = g_ptr_array_new();

        g_ptr_array_add(list, g_strdup(s->program));
        g_ptr_array_add(list, g_strdup(verb));
        g_ptr_array_add(list, s->credentials >= 0 ? g_strconcat("--", prefix, "authfile=" CREDENTIALS_PATH, NULL)
                                                  : g_strconcat("--", prefix, "no-creds", NULL));
        if (s->insecure) /* else registries.conf(5) of this host decides */
                g_ptr_array_add(list, g_strconcat("--", prefix, "tls-verify=false", NULL));
        for (; *arguments; arguments++)
                g_ptr_array_add(list, g_strdup(*arguments));
        g_ptr_array_add(list, NULL);
        return (char **) g_ptr_array_free(list, FALSE);
}

/* In the child: the standard descriptors and the credentials, nothing else. Returns an errno. */
static int execute(const struct skopeo *s, char *const *argv, char *const *environment, int out, int err, int report) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), high[4];
        const int low[] = {out, err, report, s->credentials >= 0 ? s->credentials : null};

        if (null < 0)
                return errno;
        /* The copies are above every target, so that no dup2() overwrites the source of the next. */
        for (size_t i = 0; i < G_N_ELEMENTS(low); i++) {
                high[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 16);
                if (high[i] < 0)
                        return errno;
        }
        if (dup2(null, STDIN_FILENO) < 0 || dup2(high[0], STDOUT_FILENO) < 0 || dup2(high[1], STDERR_FILENO) < 0 ||
                dup2(high[3], CREDENTIALS_FD) < 0 || close_range(CREDENTIALS_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
                return errno;
        if (s->file_max > 0 &&
                setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = s->file_max, .rlim_max = s->file_max}) < 0)
                return errno;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) execve(argv[0], argv, environment);
        {
                int error = errno;

                (void) !write(high[2], &error, sizeof error);
                _exit(127);
        }
}

static int start(struct run *run, char *const *argv, char *const *environment, struct failure *f) {
        int out[2] = {-1, -1}, err[2] = {-1, -1}, report[2] = {-1, -1}, r = 0;

        if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0)
                r = -errno;
        run->pid = r < 0 ? -1 : fork();
        if (run->pid == 0) {
                /* What it prints is a part of its log, where nobody wants it for itself. */
                int error = execute(
                        run->skopeo, argv, environment, run->output ? out[1] : err[1], err[1], report[1]);

                (void) !write(report[1], &error, sizeof error);
                _exit(127);
        }
        if (r >= 0 && run->pid < 0)
                r = -errno;
        run->out = take_fd(&out[0]);
        run->err = take_fd(&err[0]);
        run->report = take_fd(&report[0]);
        (void) close_fd(out[1]);
        (void) close_fd(err[1]);
        (void) close_fd(report[1]);
        return r < 0 ? fail_errno(f, r, "starting skopeo") : 0;
}

/* A line of its log: the job gets it, and the last one is the reason of a failure. */
static void take_line(struct run *run) {
        g_autofree char *text = complaint_text(run->line->str);
        bool fatal = complaint_is_fatal(run->line->str);

        if (*text && run->n_lines < LINES_MAX) {
                run->n_lines++;
                job_log(run->skopeo->job, fatal ? LOG_ERR : LOG_INFO, "%s", text);
        }
        if (*text && (fatal || !run->fatal))
                g_string_assign(run->reason, text);
        run->fatal |= fatal;
        g_string_truncate(run->line, 0);
}

/* False at the end of the pipe. */
static bool read_log(struct run *run) {
        char buf[4096];
        ssize_t n = read(run->err, buf, sizeof buf);

        for (ssize_t i = 0; i < n; i++) {
                if (buf[i] == '\n' || buf[i] == '\r')
                        take_line(run);
                else if (buf[i] && run->line->len < LINE_MAX_BYTES)
                        g_string_append_c(run->line, buf[i]);
        }
        if (n == 0 && run->line->len > 0)
                take_line(run);
        return n > 0 || (n < 0 && errno == EINTR);
}

static int read_output(struct run *run, struct failure *f) {
        char buf[16384];
        ssize_t n = read(run->out, buf, sizeof buf);

        if (n < 0)
                return errno == EINTR ? 1 : fail_errno(f, -errno, "reading what skopeo prints");
        if (n == 0)
                return 0;
        if (run->output->len + (size_t) n > run->output_max)
                return failf(f, -E2BIG, FAILURE_LIMIT, "the manifest has more than %zu bytes", run->output_max);
        g_string_append_len(run->output, buf, n);
        return 1;
}

/* The daemon says nothing while skopeo runs: what can be read is its end. */
static int look_at_daemon(struct run *run, struct failure *f) {
        int fds[LAUNCH_FDS_MAX], r;
        json_t *message = NULL;
        size_t n_fds = 0;

        r = wire_recv(run->skopeo->job->sock, &message, fds, &n_fds);
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        json_decref(message);
        return r > 0 ? 0 : failf(f, -ECONNRESET, FAILURE_OTHER, "the daemon has gone");
}

/* Until its pipes are closed. */
static int attend(struct run *run, SkopeoTick tick, void *userdata, struct failure *f) {
        struct pollfd p[] = {{.fd = run->out, .events = POLLIN}, {.fd = run->err, .events = POLLIN},
                {.fd = run->skopeo->job->sock, .events = POLLIN}};
        int r = 0;

        while (r >= 0 && (p[0].fd >= 0 || p[1].fd >= 0)) {
                if (poll(p, G_N_ELEMENTS(p), TICK_MSEC) < 0 && errno != EINTR)
                        return fail_errno(f, -errno, "waiting for skopeo");
                if (p[1].fd >= 0 && p[1].revents && !read_log(run))
                        p[1].fd = -1;
                if (p[0].fd >= 0 && p[0].revents) {
                        r = read_output(run, f);
                        if (r == 0)
                                p[0].fd = -1;
                }
                if (r >= 0 && p[2].revents)
                        r = look_at_daemon(run, f);
                if (r >= 0 && tick)
                        r = tick(run->pid, userdata, f);
        }
        return r;
}

static int reap(struct run *run) {
        int status;

        while (waitpid(run->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        run->pid = -1;
        return status;
}

/* Why it could not be executed, where that is so. */
static int look_at_report(struct run *run, struct failure *f) {
        int error = 0;

        if (read(run->report, &error, sizeof error) != sizeof error)
                return 0;
        if (error == ENOENT)
                return failf(f, -ENOENT, FAILURE_TOOL,
                        "skopeo is not installed (package skopeo; Skopeo= in runtime.conf names it: %s)",
                        run->skopeo->program);
        return failf(f, -error, failure_is_hosts(-error) ? FAILURE_OTHER : FAILURE_TOOL, "%s cannot be executed: %s",
                run->skopeo->program, g_strerror(error));
}

static int run_it(struct run *run, SkopeoTick tick, void *userdata, struct failure *f) {
        int r, status;

        r = look_at_report(run, f);
        if (r >= 0)
                r = attend(run, tick, userdata, f);
        if (r < 0)
                (void) kill(run->pid, SIGKILL);
        status = reap(run);
        if (r < 0)
                return r;
        if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (status >= 0 && WIFSIGNALED(status) && !run->fatal)
                g_string_printf(run->reason, "skopeo was ended by signal %d", WTERMSIG(status));
        return complaint_fail(run->skopeo->registry, run->reason->str, f);
}

int skopeo_run(const struct skopeo *s, const char *verb, const char *prefix, const char *const *arguments,
        GString *output, size_t output_max, SkopeoTick tick, void *userdata, struct failure *f) {
        g_auto(GStrv) argv = make_argv(s, verb, prefix, arguments), environment = make_environment(s);
        struct run run = {.skopeo = s, .out = -1, .err = -1, .report = -1, .output = output, .output_max = output_max};
        int r;

        run.line = g_string_new(NULL);
        run.reason = g_string_new(NULL);
        r = start(&run, argv, environment, f);
        if (r >= 0)
                r = run_it(&run, tick, userdata, f);
        (void) close_fd(run.out);
        (void) close_fd(run.err);
        (void) close_fd(run.report);
        (void) g_string_free(run.line, TRUE);
        (void) g_string_free(run.reason, TRUE);
        return r;
}
