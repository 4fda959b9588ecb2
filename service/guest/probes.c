/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Joins the program's words, the probes and the port to the host. */
#include "guest/probes.h"

#include <string.h>

#include "guest/console.h"
#include "guest/notify.h"
#include "shared/fd.h"

static bool wants_messages(const struct boot_message *m) {
        return m->ready.kind == PROBE_MESSAGE || m->health.kind == PROBE_MESSAGE;
}

void probes_open(struct probes *p, const struct boot_message *message) {
        *p = (struct probes){.notify = -1};
        p->plans[GUEST_PROBE_READY] = message->ready;
        p->plans[GUEST_PROBE_HEALTH] = message->health;
        if (message->has_address)
                p->own = message->address;
        if (!wants_messages(message))
                return;
        p->notify = notify_open();
        if (p->notify < 0)
                console_say("%s: %s", NOTIFY_PATH, strerror(-p->notify));
}

void probes_begin(struct probes *p) {
        uint64_t now = now_monotonic();

        for (unsigned i = 0; i < GUEST_PROBES; i++)
                if (p->plans[i].kind != PROBE_NONE)
                        probe_begin(&p->probes[i], &p->plans[i], p->own, now);
        /* The word itself is what counts, not an interval of it. */
        if (p->plans[GUEST_PROBE_READY].kind == PROBE_MESSAGE)
                probe_end(&p->probes[GUEST_PROBE_READY]);
}

void probes_prepare(const struct probes *p, struct pollfd *ret, int *timeout) {
        uint64_t now = now_monotonic();

        ret[PROBES_POLL_NOTIFY] = (struct pollfd){.fd = p->notify, .events = POLLIN};
        for (unsigned i = 0; i < GUEST_PROBES; i++)
                probe_prepare(&p->probes[i], &ret[PROBES_POLL_FIRST + i], timeout, now);
}

static void tell(struct port *port, enum guest_probe which, bool good) {
        uint8_t payload[8];

        frame_put_u32(payload, which);
        frame_put_u32(payload + 4, good);
        port_send(port, GUEST_PROBE, payload, sizeof(payload));
}

static void on_notify(struct probes *p) {
        struct notification said;

        notify_read(p->notify, &said);
        if (said.ready && p->plans[GUEST_PROBE_READY].kind == PROBE_MESSAGE && !p->notified_ready)
                p->notified_ready = p->tell_ready = true;
        if (said.watchdog)
                p->probes[GUEST_PROBE_HEALTH].notified = true;
}

void probes_process(struct probes *p, const struct pollfd *fds, struct port *port) {
        struct probe *ready = &p->probes[GUEST_PROBE_READY], *health = &p->probes[GUEST_PROBE_HEALTH];
        uint64_t now = now_monotonic();
        enum probe_result result;

        if (p->notify >= 0 && fds[PROBES_POLL_NOTIFY].revents)
                on_notify(p);
        if (probe_process(ready, fds[PROBES_POLL_FIRST + GUEST_PROBE_READY].revents, now) == PROBE_GOOD) {
                probe_end(ready);
                p->tell_ready = true;
        }
        result = probe_process(health, fds[PROBES_POLL_FIRST + GUEST_PROBE_HEALTH].revents, now);
        /* A host that does not read has no use for old results, and the program's end must find room. */
        if (port->out_len > 0)
                return;
        if (p->tell_ready)
                tell(port, GUEST_PROBE_READY, true);
        p->tell_ready = false;
        if (result != PROBE_PENDING)
                tell(port, GUEST_PROBE_HEALTH, result == PROBE_GOOD);
}
