/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenConsole and OpenDisplay: one end of a socket pair for the VM's monitor, the other for the caller. */
#include "bus/vm-view.h"

#include <errno.h>
#include <sys/socket.h>

#include "bus/answer.h"
#include "bus/gate.h"
#include "bus/message.h"
#include "shared/fd.h"

typedef struct ViewRequest {
        bool display;
        bool write; /* to the console */
} ViewRequest;

/* The caller's end waits for the monitor to take the other. */
typedef struct ViewAnswer {
        sd_bus_message *message;
        int fd;
} ViewAnswer;

static void answer_free(ViewAnswer *a) {
        sd_bus_message_unref(a->message);
        (void) close_fd(a->fd);
        g_free(a);
}

static void on_view_done(const Problem *problem, void *userdata) {
        ViewAnswer *a = userdata;

        if (problem)
                answer_problem(a->message, problem);
        else
                (void) sd_bus_reply_method_return(a->message, "h", a->fd);
        answer_free(a);
}

static int run_view(Call *c, sd_bus_error *error) {
        g_autoptr(Problem) problem = NULL;
        _cleanup_close_ int theirs = -1;
        const ViewRequest *q = c->request;
        ViewAnswer *a;
        int pair[2], r;
        VM *vm;

        r = call_vm(c, &vm, error);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        theirs = pair[1];
        a = g_new(ViewAnswer, 1);
        *a = (ViewAnswer){sd_bus_message_ref(c->message), pair[0]};
        if (q->display)
                r = vm_open_display(vm, theirs, on_view_done, a, &problem);
        else
                r = vm_open_console(vm, theirs, q->write, on_view_done, a, &problem);
        if (r >= 0)
                return 0;
        answer_free(a);
        return bus_error_problem(error, problem);
}

static int begin(sd_bus_message *m, VM *vm, ViewRequest view, sd_bus_error *error) {
        ViewRequest *q = g_new(ViewRequest, 1);
        Call *c;

        *q = view;
        c = call_new(bus_of(vm->runtime), m, "VM", q, g_free, run_view);
        call_set_vm(c, vm);
        return call_begin(c, error);
}

static const OptionKey console_options[] = {{"write", "b"}, {}};

int vm_method_open_console(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ViewRequest view = {};
        json_t *options;
        int r;

        r = message_read_options(m, console_options, &options, error);
        if (r < 0)
                return r;
        view.write = !json_is_false(json_object_get(options, "write"));
        json_decref(options);
        return begin(m, userdata, view, error);
}

int vm_method_open_display(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r = message_read_no_options(m, error);

        return r < 0 ? r : begin(m, userdata, (ViewRequest){.display = true}, error);
}
