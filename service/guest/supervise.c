/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of PID 1. Allocates nothing and never waits for one thing alone: a guest without memory, or one that forks
 * without end, still answers its host. */
#include "guest/supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/buttons.h"
#include "guest/console.h"
#include "shared/fd.h"

#define REAP_BATCH 512U /* between two looks at the host */
#define GRACE_USEC (1000U * 1000U)
#define KILL_USEC (5U * 1000U * 1000U)
#define SIGNAL_LAST 64U

enum { POLL_SIGNAL, POLL_PORT, POLL_RESULT, POLL_PROBES, POLL_BUTTONS = POLL_PROBES + PROBES_POLL_FDS };

struct supervisor {
        struct child *child;
        struct port *port;
        struct probes *probes;
        struct buttons buttons;
        int stop_signal;
        int signal_fd;
        int status;
        bool ended;
        bool more; /* there may be more to reap */
};

static void wanted_signals(sigset_t *ret) {
        (void) sigemptyset(ret);
        (void) sigaddset(ret, SIGCHLD);
        /* What `poweroff`, `halt` and `reboot` of an image send to PID 1. Ctrl-Alt-Del would be SIGINT. */
        (void) sigaddset(ret, SIGTERM);
        (void) sigaddset(ret, SIGUSR1);
        (void) sigaddset(ret, SIGUSR2);
        (void) sigaddset(ret, SIGPWR);
}

void supervise_prepare(void) {
        sigset_t set;

        /* To be heard among any number of runnable processes. */
        (void) setpriority(PRIO_PROCESS, 0, PRIO_MIN);
        wanted_signals(&set);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
}

static void signal_program(struct supervisor *s, int number) {
        if (!s->ended)
                (void) kill(s->child->pid, number);
}

static void reap(struct supervisor *s) {
        unsigned n = 0;

        s->more = false;
        while (n < REAP_BATCH) {
                int status;
                pid_t pid = waitpid(-1, &status, WNOHANG);

                if (pid <= 0)
                        return;
                if (pid == s->child->pid) {
                        s->ended = true;
                        s->status = status;
                }
                n++;
        }
        s->more = true;
}

static void on_signals(struct supervisor *s) {
        struct signalfd_siginfo info;

        while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
                if (info.ssi_signo != SIGCHLD)
                        signal_program(s, s->stop_signal);
        s->more = true;
}

static void on_frame(struct supervisor *s, const struct frame *frame) {
        uint32_t number;

        if (frame->type == GUEST_STOP && frame->length == 0)
                signal_program(s, s->stop_signal);
        if (frame->type != GUEST_SIGNAL || frame->length != sizeof(number))
                return;
        number = frame_get_u32(frame->payload);
        if (number >= 1 && number <= SIGNAL_LAST)
                signal_program(s, (int) number);
}

/* One round: wait, then look at everything. */
static void wait_and_dispatch(struct supervisor *s) {
        struct pollfd fds[POLL_BUTTONS + BUTTONS_MAX];
        int timeout = s->more ? 0 : -1;
        struct frame frame;

        fds[POLL_SIGNAL] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
        port_prepare(s->port, &fds[POLL_PORT], &timeout);
        fds[POLL_RESULT] = (struct pollfd){.fd = s->child->result_fd, .events = POLLIN};
        probes_prepare(s->probes, &fds[POLL_PROBES], &timeout);
        for (size_t i = 0; i < s->buttons.n; i++)
                fds[POLL_BUTTONS + i] = (struct pollfd){.fd = s->buttons.fds[i], .events = POLLIN};
        if (poll(fds, POLL_BUTTONS + s->buttons.n, timeout) < 0)
                return;

        if (fds[POLL_SIGNAL].revents)
                on_signals(s);
        port_process(s->port, fds[POLL_PORT].revents);
        while (port_next(s->port, &frame))
                on_frame(s, &frame);
        probes_process(s->probes, &fds[POLL_PROBES], s->port);
        for (size_t i = 0; i < s->buttons.n; i++)
                if (fds[POLL_BUTTONS + i].revents && buttons_pressed(&s->buttons, i))
                        signal_program(s, s->stop_signal);
}

static int tell_result(struct supervisor *s, struct failure *failure) {
        int r;

        if (s->child->result_fd < 0)
                return 0;
        r = child_result(s->child, failure);
        if (r > 0) {
                port_send(s->port, GUEST_READY, NULL, 0);
                probes_begin(s->probes);
        }
        return r < 0 ? r : 0;
}

static void tell_exit(struct supervisor *s) {
        bool by_signal = WIFSIGNALED(s->status);
        uint8_t payload[8];

        frame_put_u32(payload, by_signal);
        frame_put_u32(payload + 4, (uint32_t) (by_signal ? WTERMSIG(s->status) : WEXITSTATUS(s->status)));
        port_send(s->port, GUEST_EXIT, payload, sizeof(payload));
}

int supervise(struct child *child, int stop_signal, struct port *port, struct probes *probes, struct failure *failure) {
        struct supervisor s = {
                .child = child, .port = port, .probes = probes, .stop_signal = stop_signal, .more = true};
        sigset_t set;
        int r;

        wanted_signals(&set);
        s.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (s.signal_fd < 0)
                return failure_set_errno(failure, -errno, "signals");
        buttons_open(&s.buttons);

        while (!s.ended) {
                wait_and_dispatch(&s);
                if (s.more)
                        reap(&s);
                r = tell_result(&s, failure);
                if (r < 0)
                        return r;
        }
        tell_exit(&s);
        return 0;
}

/* Reaps until there is nobody left, or it is usec later. */
static bool wait_for_all(uint64_t usec) {
        uint64_t end = now_monotonic() + usec;
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGCHLD);
        for (;;) {
                pid_t pid = waitpid(-1, NULL, WNOHANG);
                uint64_t now = now_monotonic();
                struct timespec wait;

                if (pid < 0)
                        return true;
                if (now >= end)
                        return false;
                if (pid > 0)
                        continue;
                wait = (struct timespec){(time_t) ((end - now) / 1000000), (long) ((end - now) % 1000000 * 1000)};
                (void) sigtimedwait(&set, NULL, &wait);
        }
}

void supervise_end_all(void) {
        (void) kill(-1, SIGTERM);
        if (wait_for_all(GRACE_USEC))
                return;
        (void) kill(-1, SIGKILL);
        if (!wait_for_all(KILL_USEC))
                console_say("some processes do not end");
}
